"""Clients of buckets, opened with options that are checked by name before a request is sent."""

import datetime as dt
import os
import unicodedata
from collections.abc import Mapping
from typing import Any, cast

from obstore import exceptions as failures
from obstore.store import ObjectStore, from_url

from chandlery.errors import SettingsError
from chandlery.lake.answers import plain_text

__all__ = ["open_bucket"]

# A store that is busy or restarting usually answers within a minute; after that the run ends and can be repeated.
RETRIES = {
    "max_retries": 6,
    "retry_timeout": dt.timedelta(seconds=60),
    "backoff": {"init_backoff": dt.timedelta(milliseconds=200), "max_backoff": dt.timedelta(seconds=5), "base": 2},
}
# obstore takes the options of its HTTP client apart from those of the store.
CLIENT_OPTIONS = {"allow_http", "timeout", "connect_timeout", "proxy_url", "user_agent"}
# Where an endpoint may be given, in the order in which obstore takes it.
ENDPOINTS = ("endpoint_url", "endpoint", "aws_endpoint_url", "aws_endpoint", "azure_storage_endpoint", "azure_endpoint")
ENVIRONMENT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")


def open_bucket(uri: str, options: Mapping[str, str]) -> ObjectStore:
    """Return a client of a bucket; nothing is requested yet.

    An endpoint that begins with http:// is used without encryption, since nothing else can be meant.

    Args:
        uri: Of the bucket, with a prefix.
        options: Of the store and of its HTTP client.

    Raises:
        SettingsError: An option is not known, or its value cannot be used.
    """
    for name, value in options.items():
        if any(unicodedata.category(letter) == "Cc" for letter in value):
            raise SettingsError(f"[storage] {name} has a control character", "one line of text", "correct the setting")
    config = {name: value for name, value in options.items() if name not in CLIENT_OPTIONS}
    flags: dict[str, Any] = {name: to_flag(value) for name, value in options.items() if name in CLIENT_OPTIONS}
    if find_endpoint(options).startswith("http://"):
        flags.setdefault("allow_http", True)
    try:
        store = from_url(uri, config=config, client_options=flags, retry_config=RETRIES)  # type: ignore[call-overload]
    except (failures.BaseError, ValueError, TypeError) as error:
        found = f"storage settings for {uri}: {plain_text(error)}"
        raise SettingsError(found, "options of the object store", "see [storage]") from error
    return cast(ObjectStore, store)


def to_flag(value: str) -> str | bool:
    """Return the text of an option as obstore takes it."""
    return value.lower() == "true" if value.lower() in {"true", "false"} else value


def find_endpoint(options: Mapping[str, str]) -> str:
    """Return the endpoint that options or the environment name; empty for that of the cloud."""
    given = {name.lower(): value for name, value in options.items()}
    found = [*(given.get(name, "") for name in ENDPOINTS), *(os.environ.get(name, "") for name in ENVIRONMENT)]
    return next(filter(None, found), "").lower()
