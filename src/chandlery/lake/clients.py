"""Clients of buckets, opened with options that are checked by name before a request is sent."""

import datetime as dt
import os
import re
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from obstore import exceptions as failures
from obstore.store import ObjectStore, from_url

from chandlery.errors import SettingsError
from chandlery.lake.answers import is_panic, plain_text
from chandlery.lake.credentials import find_profile, is_public
from chandlery.machine.aws import Profile, open_client, translated

__all__ = ["find_region", "list_objects", "open_bucket"]

# A store that is busy or restarting usually answers within a minute; after that the run ends and can be repeated.
RETRIES = {
    "max_retries": 6,
    "retry_timeout": dt.timedelta(seconds=60),
    "backoff": {"init_backoff": dt.timedelta(milliseconds=200), "max_backoff": dt.timedelta(seconds=5), "base": 2},
}
# obstore takes the options of its HTTP client apart from those of the store.
CLIENT_OPTIONS = frozenset(
    """
    allow_http allow_invalid_certificates connect_timeout default_content_type http1_only http2_keep_alive_interval
    http2_keep_alive_timeout http2_keep_alive_while_idle http2_only pool_idle_timeout pool_max_idle_per_host
    proxy_ca_certificate proxy_excludes proxy_url randomize_addresses read_timeout root_certificate timeout user_agent
    """.split()
)
HOST = r"(\[[0-9a-fA-F:]+\]|[^\s/:?#\[\]@]+)(:\d{1,5})?"
ADDRESS = re.compile(rf"https?://{HOST}(/[^\s?#]*)?", re.IGNORECASE)
PROXY = re.compile(rf"(https?|socks5h?)://{HOST}/?", re.IGNORECASE)
METADATA = ("metadata_endpoint", "aws_metadata_endpoint", "AWS_METADATA_ENDPOINT")
# Where an endpoint and a region may be given, in the order in which obstore takes them.
ENDPOINTS = ("endpoint_url", "endpoint", "aws_endpoint_url", "aws_endpoint", "azure_storage_endpoint", "azure_endpoint")
ENDPOINT_VARIABLES = (
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT",
)  # fmt: skip
REGIONS = ("region", "aws_region", "default_region", "aws_default_region")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
CERTIFICATES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")  # name files with certificates of authorities
REGION_HEADER, REGION_SECONDS = "x-amz-bucket-region", 3.0


def open_bucket(uri: str, options: Mapping[str, str], *, patient: bool = True) -> ObjectStore:
    """Return a client of a bucket; nothing is requested of it yet.

    An endpoint that begins with http:// is used without encryption, since nothing else can be meant.

    Args:
        uri: Of the bucket, with a prefix.
        options: Of the store and of its HTTP client.
        patient: Whether the client repeats requests that fail.

    Raises:
        SettingsError: An option is not known, its value cannot be used, or there are no credentials.
    """
    check_values(options)
    client = _build_client(uri, options, patient=patient)  # its options are checked before credentials are looked for
    profile = find_profile(uri, options)
    if profile is not None:
        client = _build_client(uri, add_defaults(options, profile), patient=patient, profile=profile)
    return client


def _build_client(
    uri: str, options: Mapping[str, str], *, patient: bool, profile: Profile | None = None
) -> ObjectStore:
    config = {name: value for name, value in options.items() if name not in CLIENT_OPTIONS}
    flags: dict[str, Any] = {name: to_flag(value) for name, value in options.items() if name in CLIENT_OPTIONS}
    if find_endpoint(config).startswith("http://"):
        flags.setdefault("allow_http", True)
    if certificates := read_certificates():
        flags["root_certificate"] = certificates
    retries = RETRIES if patient else {**RETRIES, "max_retries": 0}
    more = {"credential_provider": profile} if profile is not None else {}
    try:
        given = {"config": config, "client_options": flags, "retry_config": retries, **more}
        store = from_url(uri, **given)  # type: ignore[call-overload]
    except BaseException as error:
        if not isinstance(error, (failures.BaseError, ValueError, TypeError)) and not is_panic(error):
            raise
        found = f"storage settings for {uri}: {plain_text(error)}"
        raise SettingsError(found, "options of the object store", "see [storage]") from error
    return cast(ObjectStore, store)


def check_values(options: Mapping[str, str]) -> None:
    """Check the values of options, and of variables that stand for some: the client panics at some of them.

    Raises:
        SettingsError: One is empty, has a control character, or is no address.
    """
    for name, value in options.items():
        if any(unicodedata.category(letter) == "Cc" for letter in name + value):
            found = f"[storage] {name!r} has a control character"
            raise SettingsError(found, "one line of text", "correct the setting")
        if not value.strip():
            raise SettingsError(f"[storage] {name!r} is empty", "a value", "set it, or leave it out")
    addresses = {*ENDPOINTS, *ENDPOINT_VARIABLES, *METADATA}
    set_outside = {name: os.environ[name] for name in addresses if os.environ.get(name)}
    for name, text in {**set_outside, **options}.items():
        if (name in addresses or name.lower() in addresses) and not ADDRESS.fullmatch(text):
            raise SettingsError(f"{name} = {text!r} is no address", "http://host:port or https://host", "correct it")
        if name.lower() == "proxy_url" and not PROXY.fullmatch(text):
            raise SettingsError(f"{name} = {text!r} is no address of a proxy", "http://host:port", "correct it")


def add_defaults(options: Mapping[str, str], profile: Profile) -> dict[str, str]:
    """Return options with the region and the endpoint of a profile of the SDK, where no others are given."""
    region = "" if find_value(options, REGIONS, REGION_VARIABLES) else profile.region
    endpoint = "" if find_endpoint(options) else profile.endpoint
    return {**options, **({"region": region} if region else {}), **({"endpoint_url": endpoint} if endpoint else {})}


def read_certificates() -> bytes:
    """Return the certificates of authorities that the environment names; empty if it names none.

    Raises:
        SettingsError: A file of them cannot be read.
    """
    content = b""
    for name in CERTIFICATES:
        if path := os.environ.get(name):
            try:
                content += Path(path).read_bytes() + b"\n"
            except OSError as error:
                found = f"{name} names {path}, which cannot be read: {error.strerror}"
                raise SettingsError(found, "a file of certificates", "correct the variable, or unset it") from error
    return content


def to_flag(value: str) -> str | bool:
    """Return the text of an option as obstore takes it."""
    return value.lower() == "true" if value.lower() in {"true", "false"} else value


def find_endpoint(options: Mapping[str, str]) -> str:
    """Return the endpoint that options or the environment name; empty for that of the cloud."""
    return find_value(options, ENDPOINTS, ENDPOINT_VARIABLES).lower()


def find_value(options: Mapping[str, str], names: tuple[str, ...], variables: tuple[str, ...]) -> str:
    """Return the first value of options of some names, or else of variables of the environment, or an empty text."""
    given = {name.lower(): value for name, value in options.items()}
    found = [*(given.get(name, "") for name in names), *(os.environ.get(name, "") for name in variables)]
    return next(filter(None, found), "")


def list_objects(uri: str, options: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a bucket of S3 as the AWS SDK lists them: it can name every key, and obstore cannot.

    Args:
        uri: Of the bucket, with a prefix.
        options: Of the store.

    Returns:
        Each key below the prefix, with what S3 says of the object.

    Raises:
        SettingsError: The SDK is not installed, or listing is refused.
    """
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    endpoint = find_value(options, ENDPOINTS, ENDPOINT_VARIABLES) or None
    region = find_value(options, REGIONS, REGION_VARIABLES) or None
    client = open_client("s3", region, endpoint, is_signed=not is_public(options), by_path=bool(endpoint))
    with translated(f"list {uri}"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for each in page.get("Contents", []):
                yield each["Key"].removeprefix(prefix), each


def find_region(uri: str, options: Mapping[str, str]) -> str:
    """Return the region in which a bucket of S3 is, as the store itself says; empty if it does not."""
    scheme, _, rest = uri.partition("://")
    bucket = rest.partition("/")[0]
    if scheme != "s3":
        return ""
    endpoint = find_value(options, ENDPOINTS, ENDPOINT_VARIABLES).rstrip("/")
    address = f"{endpoint}/{bucket}" if endpoint else f"https://{bucket}.s3.amazonaws.com"
    if not address.lower().startswith(("http://", "https://")):
        return ""
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - its scheme was checked
    try:
        with urllib.request.urlopen(request, timeout=REGION_SECONDS) as answer:  # noqa: S310 - likewise
            return str(answer.headers.get(REGION_HEADER, ""))
    except urllib.error.HTTPError as error:  # an answer that refuses names the region, too
        return str(error.headers.get(REGION_HEADER, ""))
    except (OSError, ValueError):
        return ""
