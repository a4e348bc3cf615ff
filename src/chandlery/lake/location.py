"""The location of a store: a folder of this machine, or a prefix of a bucket."""

import os
import re
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from chandlery.errors import SettingsError
from chandlery.errors.masking import find_credentials
from chandlery.machine.folders import expand_path

__all__ = ["Location"]

SCHEMES = {"s3", "gs", "az", "abfs", "abfss", "azure"}  # of buckets: what obstore accepts
# What other programs write for them.
ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "wasb": "az", "wasbs": "az", "adl": "az"}
OTHERS = {"http", "https", "hdfs", "viewfs", "dbfs", "ftp", "sftp", "memory", "oss", "cos", "r2", "minio"}
PREFIX = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>/*)")


class Location:
    """A folder or a prefix of a bucket, given by its URI. Nothing is opened.

    Args:
        uri: A folder, or `s3://bucket/prefix` and the like.
        options: Of the object store, such as endpoint_url, region, allow_http.

    Raises:
        SettingsError: The URI is no path and none of a bucket, or holds a credential, a reserved character or white
            space that is easily overlooked.
    """

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        check_text(uri)
        if part := find_credentials(uri):
            hint = "leave credentials to the environment or the machine's role"
            raise SettingsError(f"{uri} has {part}", "a URI without credentials", hint)
        scheme, uri = split_scheme(uri)
        self.uri, self.options = uri.rstrip("/") if uri.strip("/") else uri, dict(options or {})
        self.is_local = not scheme
        if not self.is_local and (odd := set("#?%") & set(uri)):
            shown = re.sub(r"\?.*", "?…", uri)  # a query may hold a signature
            expected = "a URI without # ? %, which have a meaning of their own in URIs"
            hint = "give the bucket another prefix or name"
            raise SettingsError(f"{' '.join(sorted(odd))} in {shown}", expected, hint)

    def __getstate__(self) -> tuple[str, dict[str, str]]:
        return self.address, self.options  # absolute: workers may run in another folder, as another user

    def __setstate__(self, state: tuple[str, dict[str, str]]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    @cached_property
    def root(self) -> Path:
        """The folder of a local store."""
        return expand_path(self.uri).absolute()

    @property
    def address(self) -> str:
        """The URI as tasks and records name it: an absolute path, with symbolic links as they were given."""
        return str(self.root) if self.is_local else self.uri

    @property
    def described(self) -> str:
        """The URI as it was given; a relative path is followed by the absolute one in parentheses."""
        return self.uri if self.uri == self.address or "://" in self.uri else f"{self.uri} ({self.address})"

    @property
    def place(self) -> str:
        """The URI with symbolic links and `..` resolved, so that two stores of one folder compare equal."""
        return os.path.realpath(self.root) if self.is_local else self.uri


def check_text(uri: str) -> None:
    """Check that a URI has no character that nobody sees.

    Raises:
        SettingsError: It has a control character, or white space at its beginning or its end.
    """
    if any(unicodedata.category(letter) in {"Cc", "Cf"} for letter in uri):
        raise SettingsError(f"a control character in {uri!r}", "a path or a URI of one line", "correct the setting")
    if uri != uri.strip():
        raise SettingsError(f"white space around {uri!r}", "a path or a URI without it", "correct the setting")


def split_scheme(uri: str) -> tuple[str, str]:
    """Return the scheme of a bucket, empty for a folder; and the URI with it, or the path of the folder.

    A URI of a file stands for its path, as RFC 8089 says.

    Raises:
        SettingsError: It has another scheme, or is written as no library reads it: nothing is a folder of such a name.

    Example:
        >>> split_scheme("S3://b/lake"), split_scheme("file:/data/a%20b"), split_scheme("lake/2024:1")
        (('s3', 's3://b/lake'), ('', '/data/a b'), ('', 'lake/2024:1'))
    """
    met = PREFIX.match(uri)
    if met is None:
        return "", uri
    scheme, slashes, rest = met["scheme"].lower(), met["slashes"], uri[met.end() :]
    if scheme == "file":
        return "", split_file(uri, slashes, rest)
    if len(scheme) == 1 and (slashes or rest.startswith("\\")):
        raise SettingsError(f"{uri} is a path of Windows", "a path of this machine, or a URI", "write it as it is here")
    known = ALIASES.get(scheme, scheme)
    if known not in SCHEMES:
        if slashes or scheme in OTHERS:
            raise SettingsError(f"{scheme}: in {uri}", "a path, s3://, gs:// or az://", "check the URI")
        return "", uri
    if scheme != known:
        hint = f"write {known}://{rest}" if known != "az" else "write it as az://container/prefix"
        raise SettingsError(f"{scheme}: in {uri}", "a path, s3://, gs:// or az://", hint)
    if slashes != "//" or not rest:
        hint = f"write {scheme}://{rest or 'bucket/prefix'}"
        raise SettingsError(f"{uri} names no bucket", f"{scheme}:// and the name of a bucket", hint)
    return scheme, f"{scheme}://{rest}"


def split_file(uri: str, slashes: str, rest: str) -> str:
    """Return the path that a URI of a file stands for.

    Raises:
        SettingsError: It is that of another machine, or is not absolute.
    """
    if slashes == "//":
        host, mark, rest = rest.partition("/")
        if host not in {"", "localhost"} or not mark:
            hint = f"write file:///{host}{mark}{rest}, or the path alone"
            raise SettingsError(f"{uri} is a file of the machine {host!r}", "a file of this machine", hint)
    elif slashes not in {"/", "///"}:
        raise SettingsError(f"{uri} is no absolute path", "file:///path, or the path alone", "check the URI")
    return f"/{unquote(rest)}"
