"""The raw files of a source: a folder, a file or a glob, in a bucket or on a path."""

import datetime as dt
import errno
import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from chandlery.errors import SettingsError
from chandlery.lake.answers import read_answer
from chandlery.lake.odd_keys import list_all
from chandlery.lake.refusals import Act, explain_failure
from chandlery.lake.store import PART, Entry, Store
from chandlery.machine.folders import expand_path
from chandlery.schema import LAKE_FILE

__all__ = ["CLOSED", "list_source", "split_source"]

HIDDEN = {".", "_"}  # first characters of names that are not listed, such as those of temporary files and folders
CLOSED = "/*/"  # the end of the path of a folder that may not be read
ODD = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are not UTF-8


def split_source(uri: str) -> tuple[str, str]:
    """Split a source into a folder and the pattern of the files in it: `*` for a folder, the name for a file.

    Example:
        >>> split_source("s3://raw/2019/*.csv")
        ('s3://raw/2019', '*.csv')
    """
    if re.search(r"[*?\[]", uri):
        fixed = re.split(r"[*?\[]", uri)[0].rpartition("/")[0]
        return fixed or ("/" if uri.startswith("/") else "."), uri[len(fixed) + 1 :] if fixed else uri.lstrip("/")
    if "://" not in uri:
        path = expand_path(uri)
        return (str(path.parent), path.name) if path.is_file() else (str(path), "*")
    folder, _, name = uri.rpartition("/")
    return (folder, name) if "." in name and folder.count("/") > 1 else (uri, "*")


def list_source(store: Store, pattern: str) -> list[Entry]:
    """Return the files of a source, sorted by path, without hidden ones: a part of their path begins with . or _.

    What cannot be read below a path is included, so that each can be refused alone: the paths of files end with "/",
    and those of folders with "/*/".

    Raises:
        SettingsError: There is no such folder, or a bucket has an object whose name cannot be used.
    """
    if store.is_local and not store.root.exists():
        raise SettingsError(
            f"no folder {store.described}", "a file, a folder or a glob", "check --source or [source] uri"
        )
    named = None if re.search(r"[*?\[]", pattern) else store.head(pattern)  # a store lists folders, not single objects
    entries = [named] if named else _list_folder(store)
    if not entries:
        store.check_answers()
    visible = (entry for entry in entries if not any(map(_is_hidden, entry.path.split("/"))))
    return [entry for entry in visible if entry.size_bytes >= 0 and _matches(entry.path, pattern)]


def _is_hidden(part: str) -> bool:
    """Return whether files and folders of a name are not listed."""
    return part[:1] in HIDDEN and part not in {".", ".."}  # these are names of no folder, and are refused


def _list_folder(store: Store) -> list[Entry]:
    """Return the files below a folder, sorted by path."""
    if not store.is_local:
        return drop_markers(store, list_all(store))  # raises if the bucket is missing
    try:
        return sorted(_walk(store.root), key=lambda entry: entry.path)
    except OSError as error:
        path = os.path.relpath(error.filename, store.root) if isinstance(error.filename, str) else ""
        raise explain_failure(Act(store.uri, "list", path), error, read_answer(error)) from error


def drop_markers(store: Store, entries: list[Entry]) -> list[Entry]:
    """Return the objects of a bucket without those that consoles put for folders.

    They are empty, and the slash at the end of their names is missing in a listing, so that no object has the name that
    is left.
    """
    empty = [entry.path for entry in entries if not entry.size_bytes and not entry.path.endswith("/")]
    markers = {
        path for path, found in store.ask_ahead(lambda path: (path, path and store.head(path)), empty) if not found
    }
    return [entry for entry in entries if entry.path not in markers]


def _walk(root: Path) -> Iterator[Entry]:
    top = root.stat()
    folders = [(str(root), "", frozenset({(top.st_dev, top.st_ino)}))]
    while folders:
        folder, prefix, above = folders.pop()
        try:
            items = _scan(folder)
        except PermissionError:
            if not prefix:  # nothing of the source can be read
                raise
            yield _to_entry(prefix.removesuffix("/") + CLOSED, Path(folder).stat())
            continue
        for item in items:
            name, found = f"{prefix}{item.name}", _follow(item)
            if found is None or item.name[:1] in HIDDEN or PART.search(item.name):
                continue
            place = (found.st_dev, found.st_ino)
            if stat.S_ISLNK(found.st_mode) or place in above or _is_linked_lake(item):
                yield _to_entry(f"{name}/", found)
            elif stat.S_ISDIR(found.st_mode):
                folders.append((item.path, f"{name}/", above | {place}))
            elif stat.S_ISREG(found.st_mode):
                yield _to_entry(f"{name}/" if ODD.search(name) else name, found)


def _scan(folder: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as items:
            return list(items)
    except FileNotFoundError:  # deleted since its parent was listed
        return []


def _follow(item: "os.DirEntry[str]") -> os.stat_result | None:
    """Return the status of what a name points to: None if it points to nothing, that of the link if it is circular."""
    try:
        return item.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return item.stat(follow_symlinks=False)


def _is_linked_lake(item: "os.DirEntry[str]") -> bool:
    return item.is_symlink() and Path(item.path, LAKE_FILE).is_file()


def _to_entry(path: str, found: os.stat_result) -> Entry:
    """Return a file as obstore would list it, with the same etag."""
    shown = ODD.sub(lambda met: "".join(f"\\x{byte:02x}" for byte in os.fsencode(met[0])), path)
    microseconds = found.st_mtime_ns // 1000
    etag = f'"{found.st_ino:x}-{max(0, microseconds):x}-{found.st_size:x}"'
    modified = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)
    return Entry(shown, found.st_size, etag, modified)


def _matches(path: str, pattern: str) -> bool:
    if path.endswith(CLOSED):  # what such a folder holds is not known; a pattern without folders asks for none of it
        return pattern == "*" or "/" in pattern or "**" in pattern
    named = path.rstrip("/")
    return pattern in ("*", named) or _match_parts(named.split("/"), pattern.split("/"))


def _match_parts(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a path match those of a glob, in which ** is any number of folders.

    The same as `PurePath.full_match`, which Python has from 3.13 on; each part is left to `fnmatch`.

    Example:
        >>> [_match_parts(path.split("/"), ["a", "**", "*.csv"]) for path in ("a/x.csv", "a/b/c/x.csv", "ab/x.csv")]
        [True, True, False]
    """
    if not pattern:
        return not path
    first, *rest = pattern
    if first == "**":
        return any(_match_parts(path[place:], rest) for place in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], first) and _match_parts(path[1:], rest)
