"""The raw files of a source: a folder, a file or a glob, in a bucket or on a path."""

import fnmatch
import re
from pathlib import Path

from chandlery.errors import SettingsError
from chandlery.storage import Entry, Store

__all__ = ["list_source", "split_source"]


def split_source(uri: str) -> tuple[str, str]:
    """Return a source as a folder and the pattern of the files below it: `*` for a folder, a name for a file.

    Example:
        >>> split_source("s3://raw/2019/*.csv")
        ('s3://raw/2019', '*.csv')
    """
    if re.search(r"[*?\[]", uri):
        fixed = re.split(r"[*?\[]", uri)[0].rpartition("/")[0]
        return fixed or ("/" if uri.startswith("/") else "."), uri[len(fixed) + 1 :] if fixed else uri.lstrip("/")
    if "://" not in uri:
        path = Path(uri).expanduser()
        return (str(path.parent), path.name) if path.is_file() else (str(path), "*")
    folder, _, name = uri.rpartition("/")
    return (folder, name) if "." in name and folder.count("/") > 1 else (uri, "*")


def list_source(store: Store, pattern: str) -> list[Entry]:
    """Return the files of a source, by path; hidden ones (a part begins with . or _) are left out.

    Raises:
        SettingsError: There is no such folder.
    """
    if store.is_local and not store.root.exists():
        raise SettingsError(f"no folder {store.described}", "a file, a folder or a glob", "check --source or [source] uri")
    named = None if re.search(r"[*?\[]", pattern) else store.head(pattern)  # a listing knows folders, not one object
    entries = [named] if named else store.list()  # where there is none, the listing tells a missing bucket from a missing file
    visible = (entry for entry in entries if not any(part[:1] in {".", "_"} for part in entry.path.split("/")))
    return [entry for entry in visible if entry.size_bytes >= 0 and _matches(entry.path, pattern)]


def _matches(path: str, pattern: str) -> bool:
    if pattern in ("*", path):
        return True
    if "**" in pattern:
        return fnmatch.fnmatchcase(path, pattern.replace("**/", "*"))
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)
