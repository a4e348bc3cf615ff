"""Where the credentials for a bucket come from: the cloud SDK's own chain, and nothing that waits for long.

Keys in the environment, a web identity and a container's role are read by obstore. Profiles, single sign-on and
`credential_process` are those of the AWS SDK, where it is installed. What remains is the metadata service of a cloud
machine: elsewhere nothing answers at its address, and a client would wait for a minute.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from urllib.parse import urlsplit

from chandlery.errors import SettingsError
from chandlery.machine.aws import Profile, read_profile
from chandlery.machine.folders import expand_path

__all__ = ["find_profile", "is_public"]

METADATA_SECONDS = 1.0  # a metadata service is on the machine or next to it, and answers within milliseconds
HTTP_PORT = 80
TRUE = {"1", "true", "yes", "on"}
WITHOUT_SIGNATURE = ("skip_signature", "aws_skip_signature", "google_skip_signature", "azure_skip_signature")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
# Variables that name the credentials of a machine, a container or a workload, none of which needs the SDK.
ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
GOOGLE = (
    "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
)  # fmt: skip
GOOGLE_FILE = "~/.config/gcloud/application_default_credentials.json"
AZURE = (
    "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY", "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_TOKEN", "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_STORAGE_USE_EMULATOR", "AZURE_USE_AZURE_CLI",
    "AZURE_STORAGE_CONNECTION_STRING", "IDENTITY_ENDPOINT", "MSI_ENDPOINT",
)  # fmt: skip
AWS_HOST, GOOGLE_HOST = "169.254.169.254", "metadata.google.internal"


def find_profile(uri: str, options: Mapping[str, str]) -> Profile | None:
    """Return the credentials that the AWS SDK has for a bucket; None where obstore itself finds some.

    Args:
        uri: Of the bucket.
        options: Of the store.

    Raises:
        SettingsError: There are none, or a profile is set and the SDK is not installed.
    """
    if is_public(options):
        return None
    given = {name.lower(): value for name, value in options.items()}
    if not uri.startswith("s3://"):
        check_machine(uri, given)
        return None
    if all(os.environ.get(name) for name in KEYS) or has_keys(given):
        return None
    profile = read_sdk()
    if isinstance(profile, SettingsError):
        hint = f'{profile.hint}; a public bucket wants skip_signature = "true" in its options'
        raise SettingsError(f"no credentials for {uri}: {profile.found}", profile.expected, hint)
    if profile is None:
        check_aws(uri, given)
    return profile


def is_public(options: Mapping[str, str]) -> bool:
    """Return whether options or the environment say that requests are not signed."""
    given = {name.lower(): value for name, value in options.items()}
    return any(given.get(name, os.environ.get(name.upper(), "")).lower() in TRUE for name in WITHOUT_SIGNATURE)


def has_keys(options: Mapping[str, str]) -> bool:
    """Return whether options give both keys of AWS; obstore takes them with and without the name of the cloud."""
    return all(options.get(name.lower()) or options.get(name.lower().removeprefix("aws_")) for name in KEYS)


@cache
def read_sdk() -> Profile | SettingsError | None:
    """Return what the SDK has, or why it has nothing. It is asked once in a process, and renews credentials itself."""
    try:
        return read_profile()
    except SettingsError as error:
        return error


def check_aws(uri: str, options: Mapping[str, str]) -> None:
    """Check that obstore can find credentials of AWS without the SDK.

    Raises:
        SettingsError: It cannot.
    """
    if name := next(filter(os.environ.get, PROFILES), ""):
        found = f"{name} is set for {uri}, and the SDK that reads profiles is not installed"
        hint = "pip install 'chandlery[aws]', or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise SettingsError(found, "the extra `aws`", hint)
    if any(map(os.environ.get, ROLES)):
        return
    is_off = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() in TRUE
    endpoint = options.get("metadata_endpoint", options.get("aws_metadata_endpoint", ""))
    address = urlsplit(endpoint or os.environ.get("AWS_METADATA_ENDPOINT", "") or f"http://{AWS_HOST}")
    if is_off or not answers(address.hostname or AWS_HOST, address.port or HTTP_PORT):
        has_file = any(map(is_file, ("~/.aws/credentials", "~/.aws/config")))
        more = "; pip install 'chandlery[aws]' reads the files in ~/.aws" if has_file else ""
        hint = f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role{more}"
        hint = f'{hint}; a public bucket wants skip_signature = "true" in its options'
        raise SettingsError(f"no credentials for {uri}", "those of the cloud SDK's own chain", hint)


def check_machine(uri: str, options: Mapping[str, str]) -> None:
    """Check that there are credentials of Google or Azure, if only those of a machine.

    Raises:
        SettingsError: There are none.
    """
    is_google = uri.startswith("gs://")
    names, host = (GOOGLE, GOOGLE_HOST) if is_google else (AZURE, AWS_HOST)
    given = {name for name in names if os.environ.get(name) or name.lower() in options}
    short = {name.partition("_")[2].lower().removeprefix("storage_") for name in names}
    if given or short & options.keys() or (is_google and is_file(GOOGLE_FILE)):
        return
    if not answers(host, HTTP_PORT):
        hint = "set GOOGLE_APPLICATION_CREDENTIALS" if is_google else "set AZURE_STORAGE_ACCOUNT_KEY"
        hint = f'{hint}, or give the machine a role; a public bucket wants skip_signature = "true" in its options'
        raise SettingsError(f"no credentials for {uri}", "those of the cloud SDK's own chain", hint)


def is_file(path: str) -> bool:
    """Return whether a file of this user exists; a user of a container may have no home folder."""
    with suppress(SettingsError):
        return expand_path(path).is_file()
    return False


@cache
def answers(host: str, port: int) -> bool:
    """Return whether something listens at an address."""
    try:
        with socket.create_connection((host, port), METADATA_SECONDS):
            return True
    except OSError:
        return False
