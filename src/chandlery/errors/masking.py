"""Removal of credentials from texts and records, and checks that settings contain none.

Credentials may come in a URI, an option, an environment variable or an answer of a store. Values of options and of
variables of a cloud's SDK that `errors.allowed` does not list are replaced wherever they occur; what libraries write in
other ways is found by its form.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from chandlery.errors.allowed import MASK, is_shown, is_url, show_option, strip_url

__all__ = ["check_options", "check_uri", "find_credentials", "hide", "hide_options", "mask", "mask_options"]

LEAVE = "leave credentials to the environment or the machine's role"
URI = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30})://(.+)", re.DOTALL)
IN_TEXT = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30})(://?)([^\s\"'<>]+)")  # a URI handled as a path has lost a slash
QUERY = re.compile(r"\?[\w%.-]+=")  # a ? without a name and = is a wildcard in the path of a source
ASSIGNED = re.compile(
    r"((?:signature|credential|token|passw(?:or)?d|secret\w{0,30}|access_?key(?:_?id)?|\bsig|\bpwd)=)[^&\s\"<]+",
    re.IGNORECASE,
)
NAMED = re.compile(r"(<AWSAccessKeyId>|\bBearer\s+|\bAuthorization:\s*Basic\s+)[^\s<]+", re.IGNORECASE)
# Options of these names are refused with a hint. Whether a value is shown does not depend on this list.
SECRET = re.compile(
    r"secret|passw|pwd|token|credential|sas|authorization|bearer|(access|account)[_.]?key|(customer|private|api)_?key"
    r"|service_account_key",
    re.IGNORECASE,
)
OWNER_IN_AUTHORITY = {"abfs", "abfss"}  # abfss://container@account.dfs.core.windows.net/: no user name
CLOUDS = ("AWS_", "AZURE_", "GOOGLE_")  # prefixes of the environment variables of SDKs
LEAST_LETTERS = 8  # of a value that is replaced in texts: shorter ones are words that occur everywhere

_hidden: set[str] = set()  # values that texts must not show; secrets of one process are few, so none is ever removed


def hide(values: Iterable[str]) -> None:
    """Have `mask` replace values in all texts of this process."""
    _hidden.update(value for value in values if len(value) >= LEAST_LETTERS)


def hide_options(options: Mapping[str, object]) -> None:
    """Have `mask` replace the values of options that are not shown."""
    hide(str(value) for name, value in options.items() if show_option(name, str(value)) != str(value))


def mask(text: str) -> str:
    """Return a text without hidden values, user names, passwords, queries, fragments and signatures.

    Example:
        >>> text = "no answer from https://me:word@host/l?X-Amz-Signature=1f3a"  # pragma: allowlist secret
        >>> mask(f"{text} and s3://bucket/l")
        'no answer from https://…@host/l?… and s3://bucket/l'
    """
    of_clouds = {
        value
        for name, value in os.environ.items()
        if name.upper().startswith(CLOUDS) and len(value) >= LEAST_LETTERS and not is_shown(name, is_variable=True)
    }
    for value in sorted(_hidden | of_clouds, key=len, reverse=True):
        for written in {value, quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1]}:
            text = text.replace(written, MASK)
    text = NAMED.sub(rf"\1{MASK}", IN_TEXT.sub(_mask_uri, text))
    return ASSIGNED.sub(rf"\1{MASK}", text)


def _mask_uri(met: re.Match[str]) -> str:
    scheme, slashes, rest = met[1], met[2], met[3]
    end = _find_owner_end(scheme, rest)
    if end >= 0:
        rest = f"{MASK}{rest[end:]}"
    rest, has_fragment, _ = rest.partition("#")
    query = QUERY.search(rest)
    shown = rest[: query.start()] + "?" + MASK if query else rest
    return f"{scheme}{slashes}{shown}" + (f"#{MASK}" if has_fragment else "")


def _find_owner_end(scheme: str, rest: str) -> int:
    """Return the position of the @ after a user name in a URI without its scheme; -1 if there is no user name.

    A password may contain a slash, as keys of AWS do: the part before it then looks like a host with an invalid port.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    owner, at, _ = authority.rpartition("@")
    if at and ":" not in owner:
        return -1 if scheme.lower() in OWNER_IN_AUTHORITY else len(owner)
    port = authority.rpartition(":")[2]
    is_host = not at and (":" not in authority or authority.startswith("[") or port.isdigit())
    return -1 if is_host else rest.rfind("@")


def find_credentials(uri: str) -> str:
    """Return which part of a URI may carry credentials, in words; empty if none does.

    That part is hidden from all texts of this process.

    Example:
        >>> find_credentials("s3://key:word@bucket/l")  # pragma: allowlist secret
        'a user name or a password'
        >>> find_credentials("s3://bucket/2019-0?.csv")
        ''
    """
    met = URI.search(uri)
    if met is None:
        return ""
    end = _find_owner_end(met[1], met[2])
    if end >= 0:
        _hide_owner(met[2][:end])
        return "a user name or a password"
    if query := QUERY.search(met[2]):
        hide([met[2][query.start() + 1 :]])
        return "a query"
    hide([met[2].partition("#")[2]])
    return "a fragment" if "#" in met[2] else ""


def _hide_owner(owner: str) -> None:
    hide([owner, *owner.split(":", 1)])


def check_uri(value: object) -> object:
    """Return a setting unchanged.

    Raises:
        ValueError: It is a URI that may carry credentials, or a list with one.
    """
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str) and (part := find_credentials(each)):
            raise ValueError(f"{mask(each)} has {part}: {LEAVE}")
    return value


def check_options(options: dict[str, str]) -> dict[str, str]:
    """Return options unchanged.

    Raises:
        ValueError: The name or the URL of one shows that it carries credentials.
    """
    if found := [name for name, value in options.items() if SECRET.search(name) or _has_credentials(name, value)]:
        raise ValueError(f"{', '.join(found)}: keys never stand in settings; {LEAVE}")
    return options


def _has_credentials(name: str, value: str) -> bool:
    return bool(find_credentials(value)) or (is_url(name) and strip_url(value) != value)


def mask_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return options for a run record: only values of options that may be shown are.

    Example:
        >>> mask_options({"region": "eu-west-1", "foo": "word", "spark.master": "local[2]", "spark.x": "word"})
        {'region': 'eu-west-1', 'foo': '…', 'spark.master': 'local[2]', 'spark.x': '…'}
    """
    return {name: mask(show_option(name, value)) for name, value in options.items()}
