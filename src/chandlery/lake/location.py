"""The location of a store: a folder of this machine, or a prefix of a bucket."""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from chandlery.errors import SettingsError
from chandlery.errors.masking import find_credentials
from chandlery.machine.folders import expand_path

__all__ = ["Location"]

SCHEMES = {"s3", "gs", "az", "abfs", "abfss", "azure"}  # of buckets: what obstore accepts


class Location:
    """A folder or a prefix of a bucket, given by its URI. Nothing is opened.

    Args:
        uri: A folder, or `s3://bucket/prefix` and the like.
        options: Of the object store, such as endpoint_url, region, allow_http.

    Raises:
        SettingsError: The URI's scheme is not known, or the URI holds a credential or a reserved character.
    """

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        self.uri, self.options = uri.rstrip("/") if uri != "/" else uri, dict(options or {})
        if part := find_credentials(uri):
            hint = "leave credentials to the environment or the machine's role"
            raise SettingsError(f"{uri} has {part}", "a URI without credentials", hint)
        scheme = uri.partition("://")[0].lower() if "://" in uri else ""
        if scheme and scheme not in {*SCHEMES, "file"}:
            raise SettingsError(f"{scheme}:// in {uri}", "a path, s3://, gs:// or az://", "check the URI")
        self.is_local = scheme in {"", "file"}
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
        return expand_path(self.uri.removeprefix("file://")).absolute()

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
