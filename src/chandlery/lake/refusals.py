"""What the errors of object stores and file systems mean for a run, and what to do about them.

The store's own code decides, then the status, then the kind of the error of the connection. What no second run mends is
a SettingsError; what one may mend is a StoreUnavailableError.
"""

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from obstore import exceptions as failures

from chandlery.errors import ChandleryError, SettingsError, StoreUnavailableError
from chandlery.lake.answers import Answer, plain_text
from chandlery.lake.codes import BUSY, MEANINGS, MISSING, NO_BUCKET

__all__ = ["Act", "UnusableKeyError", "explain_failure", "is_changed", "is_missing"]

NAME = re.compile(r'^\s+path: "/?(.*)",$', re.MULTILINE)
DENIED = {401, 403}
GONE, CONFLICT, PRECONDITION, PROXY_LOGIN = 404, 409, 412, 407
UNSUPPORTED = {405, 501}
BUSY_STATUS = {408, 425, 429}
SERVER_ERROR = 500
EXISTS = {"", "BlobAlreadyExists", "ObjectAlreadyExists", "PathAlreadyExists", "conflict"}
CLOUD_HOSTS = {"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "metadata.google.internal"}
NO_CREDENTIALS = {"MissingAccessKeyId", "MissingSecretAccessKey", "MissingTokenResponse", "OpenCredentials"}
# What answers is no object store: it does not speak HTTP, gives a listing that is none, or lacks a header of S3.
FOREIGN = {"Parse", "InvalidMessage", "Header", "Metadata", "InvalidListResponse", "InvalidGetResponse"}
LOCKED = re.compile(r"object.?lock|retention|legal hold|WORM", re.IGNORECASE)
FULL = {errno.ENOSPC, errno.EDQUOT}
NO_RIGHT = {errno.EACCES, errno.EPERM}
IMPOSSIBLE = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.EFBIG, errno.EILSEQ}
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True)
class Act:
    """What a request does.

    Args:
        uri: Of the store.
        verb: What it does to the object: read, write, copy, delete or list.
        path: Of the object.
        is_conditional: Whether the request has a condition.
        find_region: Returns the region of the bucket, as far as it can be found out.
        has_proxy: Whether an option names a proxy.
    """

    uri: str
    verb: str
    path: str
    is_conditional: bool = False
    find_region: Callable[[], str] = str
    has_proxy: bool = False

    def describe(self, text: str) -> str:
        """Return a text with the fields of this request."""
        objects = "files" if "://" not in self.uri else "objects"
        return text.format(uri=self.uri, act=self.verb, path=self.path or objects)


class UnusableKeyError(SettingsError):
    """A store has an object whose name cannot be used."""


def is_missing(act: Act, error: Exception, answer: Answer) -> bool:
    """Return whether an error means that the object of a request does not exist."""
    is_gone = answer.status == GONE or isinstance(error, FileNotFoundError)
    is_of_object = act.verb in {"read", "delete", "copy"}
    return is_gone and is_of_object and answer.code in MISSING | {""} and not answer.is_page


def is_changed(act: Act, error: Exception, answer: Answer) -> bool:
    """Return whether an error means that the condition of a request does not hold."""
    if not act.is_conditional or answer.code in BUSY | NO_BUCKET:
        return False
    if answer.status == CONFLICT:
        return answer.code in EXISTS
    return answer.status == PRECONDITION or isinstance(error, (failures.AlreadyExistsError, failures.PreconditionError))


def explain_failure(act: Act, error: Exception, answer: Answer) -> ChandleryError:
    """Return the error of a store that did not do something.

    Args:
        act: What it did not do.
        error: What obstore or the operating system raised.
        answer: What the error says.
    """
    if isinstance(error, failures.InvalidPathError):
        name = NAME.search(str(error))
        found = f"{act.uri} has an object whose name cannot be used: {name[1] if name else plain_text(error)}"
        hint = "rename or remove it, or name a folder that does not hold it"
        expected = "names in UTF-8, without control characters, //, /./ and /../"
        return UnusableKeyError(found, expected, hint)
    return explain_file(act, error, answer) if "://" not in act.uri else explain_answer(act, error, answer)


def explain_answer(act: Act, error: Exception, answer: Answer) -> ChandleryError:
    """Return the error of a bucket; takes what `explain_failure` does."""
    if answer.host in CLOUD_HOSTS or answer.host.startswith("sts.") or answer.variants & NO_CREDENTIALS:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
        found = f"no credentials for {act.uri}{answer.shown}"
        return SettingsError(found, "those of the cloud SDK's own chain", hint)
    if answer.code in BUSY:
        return _unanswered(act, error, answer)
    refused = explain_code(act, answer) or explain_connection(act, error, answer) or explain_status(act, error, answer)
    return refused or _unanswered(act, error, answer)


def explain_code(act: Act, answer: Answer) -> SettingsError | None:
    """Return the error of a bucket whose answer has a code that is known; None if it has none."""
    if answer.code in NO_BUCKET:
        found = f"no bucket at {act.uri}{answer.shown}"
        return SettingsError(found, "a bucket that is there", "create it, or check the URI")
    if "BareRedirect" in answer.variants:
        return _refused(act, "PermanentRedirect", answer)
    return _refused(act, answer.code, answer) if answer.code in MEANINGS else None


def explain_connection(act: Act, error: Exception, answer: Answer) -> SettingsError | None:
    """Return the error of an address at which no object store can be reached; None if one answers, or may do so."""
    if answer.certificate:
        found = f"the certificate of {answer.host or act.uri} is not trusted: {answer.certificate}"
        hint = "name the file of your certificate authority in AWS_CA_BUNDLE or SSL_CERT_FILE"
        return SettingsError(found, "a certificate of a known authority", hint)
    if (answer.is_page and not _is_busy(answer)) or answer.variants & FOREIGN:
        found = f"what answers for {act.uri} is no object store{answer.shown or f' ({plain_text(error)})'}"
        return SettingsError(found, "the address of an object store", "check endpoint_url and proxies")
    return None


def explain_status(act: Act, error: Exception, answer: Answer) -> SettingsError | None:
    """Return the error of a bucket whose answer has no code that is known; None if running again may succeed."""
    denied = (failures.PermissionDeniedError, failures.UnauthenticatedError)
    if answer.status in DENIED or (not answer.status and isinstance(error, denied)):
        return _refused(act, "AccessDenied", answer)
    if answer.status in UNSUPPORTED:
        return _refused(act, "NotImplemented", answer)
    if answer.status == PROXY_LOGIN:
        hint = "check proxy_url and the proxy variables of the environment"
        return SettingsError(f"the proxy before {act.uri} asks for a login{answer.shown}", "a proxy without one", hint)
    if answer.status == GONE:
        found = f"{act.uri} has no place to {act.verb} {act.path or 'objects'}{answer.shown}"
        return SettingsError(found, "a bucket that is there", "create it, or check the URI and endpoint_url")
    if answer.status and not _is_busy(answer):
        hint = "see what the documentation of the store says of it"
        found = f"{act.uri} refused to {act.verb} {act.path or 'objects'}{answer.shown}"
        return SettingsError(found, "a request that the store takes", hint)
    return None


def _is_busy(answer: Answer) -> bool:
    """Return whether the status alone says that running again may succeed."""
    return answer.status in BUSY_STATUS or (answer.status >= SERVER_ERROR and answer.status not in UNSUPPORTED)


def _refused(act: Act, code: str, answer: Answer) -> SettingsError:
    """Return the error of a store that refused something for good."""
    meaning = MEANINGS[code]
    if code == "AccessDenied" and LOCKED.search(answer.message):
        meaning = MEANINGS["objectUnderActiveHold"]
    hint = meaning.hint
    if meaning is MEANINGS["PermanentRedirect"] and (region := answer.region or act.find_region()):
        hint = f'set region = "{region}" in [source.storage] or [lake.storage], and check endpoint_url'
    return SettingsError(act.describe(meaning.found) + answer.shown, act.describe(meaning.expected), hint)


def explain_file(act: Act, error: Exception, answer: Answer) -> ChandleryError:
    """Return the error of a folder; takes what `explain_answer` does."""
    number = answer.number or (errno.EACCES if isinstance(error, failures.PermissionDeniedError) else 0)
    number = errno.ELOOP if "Loop" in answer.variants else number  # a link to a folder above it
    if number in FULL:
        found = f"no room left at {act.uri} to {act.verb} {act.path}"
        return StoreUnavailableError(found, "free space", "make room and run again: nothing is lost")
    if number == errno.EROFS:
        found = f"{act.uri} cannot be written: its file system is read-only"
        return SettingsError(found, "a folder that this user may write to", "choose another --lake")
    if number in NO_RIGHT:
        found = act.describe("no right to {act} {path} at {uri}")
        hint = "check the owner and the mode of file and folder"
        return SettingsError(found, f"a user who may {act.verb} there", hint)
    if number in IMPOSSIBLE:
        found = f"{act.uri} cannot {act.verb} {act.path}: {os.strerror(number)}"
        hint = "choose another place, or rename or remove what is in the way"
        return SettingsError(found, "a path that the file system allows", hint)
    return _unanswered(act, error, answer)


def _unanswered(act: Act, error: Exception, answer: Answer) -> StoreUnavailableError:
    """Return the error of a store that may answer later."""
    why = answer.shown.removeprefix(" (").removesuffix(")") or plain_text(error)[:300]
    if answer.number and os.strerror(answer.number) not in why:
        why = f"{why} ({os.strerror(answer.number)})"
    hint = "run again: nothing is lost"
    if not answer.status and "://" in act.uri:
        named = ["proxy_url"] if act.has_proxy else []
        proxies = [f"{name} of the environment" for name in PROXIES if os.environ.get(name)]
        hint = f"{hint}. If it fails each time, check {', '.join(['endpoint_url', *named, *proxies])} and the network"
    return StoreUnavailableError(f"{act.uri} did not {act.verb} {act.path}: {why}", "an answer", hint)
