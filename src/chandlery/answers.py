"""What the errors of object stores mean, and what to do about them."""

import re

from chandlery.errors import ChandleryError, SettingsError, StoreUnavailableError

__all__ = ["explain_denial", "explain_failure", "plain_text"]

SIGNATURES = re.compile(r"(Signature|Credential|Token|AccessKeyId)=[^&\s\"<]+|<AWSAccessKeyId>[^<]*", re.IGNORECASE)


def explain_denial(uri: str, act: str, path: str, text: str) -> SettingsError:
    """Return the error of a store that does not allow something.

    Args:
        uri: Of the store.
        act: What was not allowed, as a verb.
        path: Of the object.
        text: What the store answered.
    """
    if "SignatureDoesNotMatch" in text or "InvalidAccessKeyId" in text:
        hint = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role"
        return SettingsError(f"{uri} does not accept the credentials", "a key that the store knows", hint)
    found, hint = f"no right to {act} {path or 'objects'} at {uri}", "check AWS_ACCESS_KEY_ID, the role and the bucket's policy"
    return SettingsError(found, f"credentials that may {act} there", hint)


def explain_failure(uri: str, act: str, path: str, text: str) -> ChandleryError:
    """Return the error of a store that did not do something; takes what `explain_denial` does."""
    if "No space left" in text or "ENOSPC" in text:
        found = f"no room left at {uri} to {act} {path}"
        return StoreUnavailableError(found, "free space", "make room and run again: nothing is lost")
    if "Read-only file system" in text:
        found = f"{uri} cannot be written: its file system is read-only"
        return SettingsError(found, "a folder that this user may write to", "choose another --lake")
    if "403" in text or "AccessDenied" in text or "InvalidAccessKeyId" in text:
        return explain_denial(uri, act, path, text)
    if "NoSuchBucket" in text:
        return SettingsError(f"no bucket at {uri}", "a bucket that is there", "create it, or check the URI")
    if "redential" in text or "169.254" in text:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
        return SettingsError(f"no credentials for {uri}", "those of the cloud SDK's own chain", hint)
    return StoreUnavailableError(f"{uri} did not {act} {path}: {text[:300]}", "an answer", "run again: nothing is lost")


def plain_text(error: BaseException) -> str:
    """Return an error's text in one line and without signatures."""
    return " ".join(SIGNATURES.sub("…", str(error)).split())
