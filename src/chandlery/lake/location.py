"""Where a store lies: a folder of this machine, or a prefix of a bucket."""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from chandlery.errors import SettingsError
from chandlery.errors.masking import find_credentials

__all__ = ["Location"]

SCHEMES = {"s3", "gs", "az", "abfs", "abfss", "azure"}  # of buckets: those that obstore knows


class Location:
    """A folder or a bucket's prefix, by its URI; nothing is opened.

    Args:
        uri: A folder, or `s3://bucket/prefix` and the like.
        options: Of the object store, such as endpoint_url, region, allow_http.

    Raises:
        SettingsError: The URI's scheme is not known, or it holds a credential or a character that means something else.
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
            shown = re.sub(r"\?.*", "?…", uri)  # a query may be a signature
            expected = "a URI without # ? %, which mean something else there"
            hint = "give the bucket another prefix or name"
            raise SettingsError(f"{' '.join(sorted(odd))} in {shown}", expected, hint)

    def __getstate__(self) -> tuple[str, dict[str, str]]:
        return self.address, self.options  # tasks may work in another folder, for another user

    def __setstate__(self, state: tuple[str, dict[str, str]]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    @cached_property
    def root(self) -> Path:
        """The folder of a local store."""
        return Path(self.uri.removeprefix("file://")).expanduser().absolute()

    @property
    def address(self) -> str:
        """Its URI as tasks and records name it: a path from the root on, with links as they were given."""
        return str(self.root) if self.is_local else self.uri

    @property
    def described(self) -> str:
        """Its URI as it was given, with the absolute path where it is relative: that depends on the working folder."""
        return self.uri if self.uri == self.address or "://" in self.uri else f"{self.uri} ({self.address})"

    @property
    def place(self) -> str:
        """Where it really lies: with links and `..` resolved, so that two stores of one place have the same."""
        return os.path.realpath(self.root) if self.is_local else self.uri
