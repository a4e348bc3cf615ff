"""What the errors of object stores mean, and what to do about them.

An error's text holds the URI, the object's path, identifiers and durations, and any of these may hold any word or
number. So only what stands in a field of its own decides: the type of the exception, the status, the store's error
code, the number of the operating system's error and the host that was asked.
"""

import errno
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from obstore import exceptions as failures

from chandlery.errors import ChandleryError, SettingsError, StoreUnavailableError
from chandlery.errors.masking import mask

__all__ = ["explain_failure", "is_without_bucket", "plain_text"]

DEBUG = "\n\nDebug source:\n"  # obstore's structure of an error follows, a field a line, its strings escaped
STATUS = re.compile(r"^\s+status: (\d{3}),$", re.MULTILINE)
BODY = re.compile(r'^\s+body: Some\(\n\s+"(.*)",$', re.MULTILINE)
BODY_CODE = re.compile(r"<Code>(\w+)</Code>")
DELETE_CODE = re.compile(r'^\s+code: "(\w+)",$', re.MULTILINE)
OS_ERROR = re.compile(r"^\s+code: (\d+),$", re.MULTILINE)
HOST = re.compile(r"^\s+uri: Some\(\n\s+(\S+),$", re.MULTILINE)
NAME = re.compile(r'^\s+path: "/?(.*)",$', re.MULTILINE)
VARIANT = re.compile(r"^\s+(?:\w+: )?([A-Z]\w+)(?: \{|\(|,)", re.MULTILINE)
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')

REFUSED = {401, 403}
DENIED = {"AccessDenied", "AllAccessDisabled", "AuthorizationFailure", "AuthorizationPermissionMismatch"}
WRONG_KEYS = {
    "AuthenticationFailed", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}  # fmt: skip
NO_BUCKET = {"NoSuchBucket", "InvalidBucketName", "ContainerNotFound"}
CLOUD_HOSTS = {"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "metadata.google.internal"}
NO_CREDENTIALS = {"MissingAccessKeyId", "MissingSecretAccessKey", "MissingTokenResponse", "OpenCredentials"}
FULL = {errno.ENOSPC, errno.EDQUOT}
NO_RIGHT = {errno.EACCES, errno.EPERM}
IMPOSSIBLE = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.EFBIG, errno.EILSEQ}


@dataclass(frozen=True)
class Answer:
    """What an error says in fields of their own.

    Args:
        status: Of HTTP; 0 where there was no answer.
        code: The store's error code, such as AccessDenied; empty where it gave none.
        number: Of the operating system's error; 0 where it is none.
        host: That was asked.
        variants: Names of the kinds of error that led to it, in obstore's words.
    """

    status: int = 0
    code: str = ""
    number: int = 0
    host: str = ""
    variants: frozenset[str] = frozenset()


def read_answer(error: BaseException) -> Answer:
    """Return what an error of obstore or of the operating system says in fields of their own."""
    _, mark, debug = str(error).rpartition(DEBUG)
    if not mark:
        return Answer(number=getattr(error, "errno", None) or 0)
    body, deleted, host = BODY.search(debug), DELETE_CODE.search(debug), HOST.search(debug)
    code = BODY_CODE.search(body[1]) if body else deleted
    status, number = STATUS.search(debug), OS_ERROR.search(debug)
    return Answer(
        status=int(status[1]) if status else 0,
        code=code[1] if code else "",
        number=int(number[1]) if number else 0,
        host=urlsplit(host[1]).hostname or "" if host else "",
        variants=frozenset(VARIANT.findall(STRING.sub('""', debug))),
    )


def is_without_bucket(error: BaseException) -> bool:
    """Return whether a store says that it has no such bucket."""
    return read_answer(error).code in NO_BUCKET


def explain_failure(uri: str, act: str, path: str, error: Exception) -> ChandleryError:
    """Return the error of a store that did not do something.

    Args:
        uri: Of the store.
        act: What it did not do, as a verb.
        path: Of the object.
        error: What obstore or the operating system raised.
    """
    if isinstance(error, failures.InvalidPathError):
        name = NAME.search(str(error))
        found = f"{uri} has an object whose name cannot be used: {name[1] if name else plain_text(error)}"
        hint = "rename or remove it, or name a folder that does not hold it"
        return SettingsError(found, "names without control characters and with UTF-8 alone", hint)
    answer = read_answer(error)
    if "://" not in uri:
        return explain_file(uri, act, path, error, answer)
    return explain_answer(uri, act, path, error, answer)


def explain_answer(uri: str, act: str, path: str, error: Exception, answer: Answer) -> ChandleryError:
    """Return the error of a bucket; takes what `explain_failure` does, and what the error says."""
    if answer.host in CLOUD_HOSTS or answer.host.startswith("sts.") or answer.variants & NO_CREDENTIALS:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
        return SettingsError(f"no credentials for {uri}", "those of the cloud SDK's own chain", hint)
    if answer.code in WRONG_KEYS:
        hint = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role"
        return SettingsError(f"{uri} does not accept the credentials", "a key that the store knows", hint)
    if answer.code in NO_BUCKET:
        return SettingsError(f"no bucket at {uri}", "a bucket that is there", "create it, or check the URI")
    is_denied = isinstance(error, (failures.PermissionDeniedError, failures.UnauthenticatedError))
    if is_denied or answer.status in REFUSED or answer.code in DENIED:
        hint = "check AWS_ACCESS_KEY_ID, the role and the bucket's policy"
        found = f"no right to {act} {path or 'objects'} at {uri}"
        return SettingsError(found, f"credentials that may {act} there", hint)
    if "BareRedirect" in answer.variants:
        hint = "set [storage] region to that of the bucket, and check endpoint_url"
        return SettingsError(f"{uri} is in another region", "the region of the bucket", hint)
    return _unanswered(uri, act, path, error, answer)


def explain_file(uri: str, act: str, path: str, error: Exception, answer: Answer) -> ChandleryError:
    """Return the error of a folder; takes what `explain_answer` does."""
    number = answer.number or (errno.EACCES if isinstance(error, failures.PermissionDeniedError) else 0)
    number = errno.ELOOP if "Loop" in answer.variants else number  # a link to a folder above it
    if number in FULL:
        found = f"no room left at {uri} to {act} {path}"
        return StoreUnavailableError(found, "free space", "make room and run again: nothing is lost")
    if number == errno.EROFS:
        found = f"{uri} cannot be written: its file system is read-only"
        return SettingsError(found, "a folder that this user may write to", "choose another --lake")
    if number in NO_RIGHT:
        found = f"no right to {act} {path or 'files'} at {uri}"
        return SettingsError(found, f"a user who may {act} there", "check the owner and the mode of file and folder")
    if number in IMPOSSIBLE:
        found = f"{uri} cannot {act} {path}: {os.strerror(number)}"
        hint = "choose another place, or rename or remove what is in the way"
        return SettingsError(found, "a path that the file system allows", hint)
    return _unanswered(uri, act, path, error, answer)


def _unanswered(uri: str, act: str, path: str, error: Exception, answer: Answer) -> StoreUnavailableError:
    why = plain_text(error)[:300]
    if answer.number and os.strerror(answer.number) not in why:
        why = f"{why} ({os.strerror(answer.number)})"
    return StoreUnavailableError(f"{uri} did not {act} {path}: {why}", "an answer", "run again: nothing is lost")


def plain_text(error: BaseException) -> str:
    """Return an error's text in one line, without credentials and without obstore's structure of it."""
    text, mark, structure = str(error).rpartition(DEBUG)
    return " ".join(mask(text if mark else structure).split())
