"""Clients of AWS. This is the only module that imports boto3, and it does so at the first call."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from chandlery.errors import SettingsError, TransientError

__all__ = ["open_client", "translated"]

# Calls of one run and those of other users of the account are throttled together: with growing waits in between, ten
# tries last about a minute.
TRIES = 10
BUSY = {  # error codes after which the same call may succeed later
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "InternalServerException",
    "InternalServiceException",
    "RequestTimeout",
    "SlowDown",
    "ConcurrentModificationException",
}


def open_client(service: str, region: str | None) -> Any:
    """Return a client of a service, with credentials from the SDK's own chain.

    Args:
        service: Its name in boto3, such as s3 or glue.
        region: The region; None for the one of the SDK's settings.

    Raises:
        SettingsError: The SDK is not installed, or no region is known.
    """
    try:
        import boto3  # noqa: PLC0415 - of the extra `aws`
        from botocore.config import Config  # noqa: PLC0415 - likewise
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise SettingsError(
            f"{error.name} is not installed", "the extra `aws`", "pip install 'chandlery[aws]'"
        ) from None
    try:
        return boto3.client(
            service,
            region_name=region,
            config=Config(retries={"mode": "standard", "max_attempts": TRIES}, user_agent_extra="chandlery"),
        )
    except BotoCoreError as error:
        raise SettingsError(
            f"{service}: {error}",
            "a region and a profile that AWS knows",
            "set [storage] region or AWS_DEFAULT_REGION, and look at AWS_PROFILE",
        ) from error


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate the errors of calls to AWS within this context into errors that say what to do.

    Args:
        what: The thing that is asked for, in words.

    Raises:
        SettingsError: It does not exist, or a right or a credential is missing.
        TransientError: AWS refused the call because of load, or did not answer.
    """
    from botocore.exceptions import (  # noqa: PLC0415 - of the extra `aws`
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        ParamValidationError,
    )

    try:
        yield
    except ClientError as error:
        details = error.response["Error"]
        code, found = details.get("Code", ""), f"{what}: {details.get('Code', '')}: {details.get('Message', '')}"
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        if code in BUSY or status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TransientError(found, "", "run again: AWS refused for load or did not answer") from error
        expected, hint = (
            "one that exists, and the right to use it",
            "check its name, the region, the role and its policy",
        )
        raise SettingsError(found, expected, hint) from error
    except NoCredentialsError as error:
        raise SettingsError(
            "no credentials for AWS",
            "those of the cloud SDK's own chain",
            "set AWS_PROFILE, or give the machine a role",
        ) from error
    except ParamValidationError as error:
        raise SettingsError(
            f"{what}: {' '.join(str(error).split())}",
            "what AWS accepts",
            "check the settings that it names, such as role_arn",
        ) from error
    except BotoCoreError as error:
        raise TransientError(f"{what}: AWS did not answer: {error}", "", "run again") from error
