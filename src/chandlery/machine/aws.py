"""Clients and credentials of AWS. This is the only module that imports boto3, and it does so at the first call."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from chandlery.errors import SettingsError, TransientError

__all__ = ["BUSY", "Profile", "open_client", "read_profile", "translated"]

# Calls of one run and those of other users of the account are throttled together: with growing waits in between, ten
# tries last about a minute.
TRIES = 10
ASK_AGAIN = dt.timedelta(minutes=10)  # after which the SDK is asked for credentials again; it renews them before
# Error codes of its services after which the same call may succeed later.
BUSY = frozenset(
    """
    BandwidthLimitExceeded ConcurrentModificationException ConditionalRequestConflict InternalError
    InternalServerException InternalServiceException OperationAborted ProvisionedThroughputExceededException
    RequestLimitExceeded RequestThrottled RequestTimeout RequestTimeoutException ServiceUnavailable SlowDown Throttled
    Throttling ThrottlingException TooManyRequests TooManyRequestsException TransactionInProgress
    """.split()
)


class Profile:
    """What the SDK knows of an account: its credentials, which it renews, its region and its endpoint.

    Args:
        session: A session of botocore.
        credentials: Those of the session.
    """

    def __init__(self, session: Any, credentials: Any) -> None:
        self._credentials = credentials
        self.region = str(session.get_config_variable("region") or "")
        self.endpoint = str(session.get_scoped_config().get("endpoint_url") or "")

    def __call__(self) -> dict[str, Any]:
        """Return credentials in the form that obstore asks for; the SDK renews them when they are about to expire."""
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": dt.datetime.now(dt.UTC) + ASK_AGAIN,
        }


def read_profile() -> Profile | None:
    """Return what the SDK's own chain knows: profiles, single sign-on, web identity, `credential_process`, roles.

    Returns:
        None if the SDK is not installed.

    Raises:
        SettingsError: The chain has no credentials, or those of the profile cannot be had.
    """
    try:
        import botocore.session  # noqa: PLC0415 - of the extra `aws`
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - likewise
    except ImportError:
        return None
    try:
        session = botocore.session.get_session()
        credentials = session.get_credentials()
        if credentials is not None:
            profile = Profile(session, credentials)
            profile()  # here, so that a session that has ended is reported with its reason
            return profile
    except (BotoCoreError, ClientError) as error:
        hint = "sign in again (such as `aws sso login`), or look at AWS_PROFILE and the files in ~/.aws"
        found = f"the SDK of AWS says: {error}"
        raise SettingsError(found, "a profile, a role or keys that the SDK can use", hint) from error
    hint = "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
    raise SettingsError("the SDK of AWS finds none", "those of the cloud SDK's own chain", hint)


def open_client(
    service: str, region: str | None, endpoint: str | None = None, *, is_signed: bool = True, by_path: bool = False
) -> Any:
    """Return a client of a service, with credentials from the SDK's own chain.

    Args:
        service: Its name in boto3, such as s3 or glue.
        region: The region; None for the one of the SDK's settings.
        endpoint: The address of the service; None for that of the cloud.
        is_signed: Whether requests are signed; a public bucket wants none that are.
        by_path: Whether a bucket is named in the path of an address, and not in its host.

    Raises:
        SettingsError: The SDK is not installed, or no region is known.
    """
    try:
        import boto3  # noqa: PLC0415 - of the extra `aws`
        from botocore import UNSIGNED  # noqa: PLC0415 - likewise
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
            endpoint_url=endpoint,
            config=Config(
                retries={"mode": "standard", "max_attempts": TRIES},
                user_agent_extra="chandlery",
                signature_version=None if is_signed else UNSIGNED,
                s3={"addressing_style": "path"} if by_path else None,
            ),
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
