"""Buckets with objects whose keys obstore cannot name: the AWS SDK lists them, so that each can be refused alone."""

import re
from collections.abc import Mapping
from typing import Any

from chandlery.errors import SettingsError
from chandlery.lake.clients import list_objects
from chandlery.lake.refusals import UnusableKeyError
from chandlery.lake.store import Entry, Store

__all__ = ["list_all"]

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # which obstore takes in no key


def list_all(store: Store) -> list[Entry]:
    """List all objects of a bucket, sorted by path, also those whose keys cannot be used.

    The paths of these end with "/", and control characters in them are written as escapes.

    Args:
        store: The bucket.

    Raises:
        SettingsError: As at any call; or a key cannot be used, and the AWS SDK, which could name it, is not there.
    """
    try:
        return store.list()
    except UnusableKeyError as error:
        if not store.uri.startswith("s3://"):
            raise
        try:
            found = [describe(key, about) for key, about in list_objects(store.uri, store.options)]
        except SettingsError as reason:
            hint = f"{error.hint}; or let the AWS SDK list the others: {reason.hint}"
            raise SettingsError(error.found, error.expected, hint) from error
    return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.path)


def describe(key: str, about: Mapping[str, Any]) -> Entry | None:
    """Return an object of S3 as a store lists it; None for an empty one that stands for a folder.

    Args:
        key: Its key below the prefix of the store.
        about: What S3 says of it.
    """
    if not key or (key.endswith("/") and not about["Size"]):
        return None
    is_usable = not any(part in {"", ".", ".."} for part in key.split("/")) and not CONTROL.search(key)
    shown = CONTROL.sub(lambda met: f"\\x{ord(met[0]):02x}", key)
    return Entry(key if is_usable else f"{shown}/", about["Size"], str(about.get("ETag", "")), about["LastModified"])
