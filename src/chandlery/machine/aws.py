"""AWS's own APIs: the only room that imports boto3, and only once there is something to ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chandlery.errors import SettingsError, TransientError

__all__ = ["open_client", "translated"]

TRIES = 10  # of a call that is throttled, at growing intervals
BUSY = {
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
    """Return a client of a service, with credentials by the SDK's own chain.

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
    """Call AWS within, and say what to do where that fails.

    Args:
        what: Is asked for, as a person would say it.

    Raises:
        SettingsError: It is not there, or a right or a credential is missing.
        TransientError: AWS refused for load, or did not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError  # noqa: PLC0415 - of the extra `aws`

    try:
        yield
    except ClientError as error:
        code, message, status = (
            error.response["Error"].get("Code", ""),
            error.response["Error"].get("Message", ""),
            error.response["ResponseMetadata"].get("HTTPStatusCode", 0),
        )
        if code in BUSY or status == 429 or status >= 500:  # noqa: PLR2004 - of HTTP: too many requests, a fault of the server
            raise TransientError(
                f"{what}: {code}: {message}", "", "run again: AWS refused for load or did not answer"
            ) from error
        raise SettingsError(
            f"{what}: {code}: {message}",
            "one that is there, and the right to use it",
            "check its name, the region, the role and its policy",
        ) from error
    except NoCredentialsError as error:
        raise SettingsError(
            "no credentials for AWS",
            "those of the cloud SDK's own chain",
            "set AWS_PROFILE, or give the machine a role",
        ) from error
    except ParamValidationError as error:
        raise SettingsError(
            f"{what}: {' '.join(str(error).split())}",
            "what AWS takes",
            "check the settings that it names, such as role_arn",
        ) from error
    except BotoCoreError as error:
        raise TransientError(f"{what}: AWS did not answer: {error}", "", "run again") from error
