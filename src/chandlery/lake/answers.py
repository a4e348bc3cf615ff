"""What the errors of object stores and file systems say, in fields.

An error's text holds the URI, the object's path, identifiers and durations, and any of these may hold any word or
number. So only what stands in a field of its own decides: the type of the exception, the status, the store's error
code, the number of the operating system's error and the host that was asked.
"""

import html
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from chandlery.errors.masking import mask

__all__ = ["Answer", "is_panic", "plain_text", "read_answer"]

DEBUG = "\n\nDebug source:\n"  # obstore's structure of an error follows, a field a line, its strings escaped
STATUS = re.compile(r"^\s+status: (\d{3}),$", re.MULTILINE)
BODY = re.compile(r'^\s+body: (?:Some\(\n\s+)?"((?:[^"\\]|\\.)*)",$', re.MULTILINE)
OF_OBJECT = {name: re.compile(rf'^\s+{name}: "((?:[^"\\]|\\.)*)",$', re.MULTILINE) for name in ("code", "message")}
IN_XML = {
    name: re.compile(rf"<{tag}>\s*([^<]+?)\s*</{tag}>")
    for name, tag in [("code", "Code"), ("message", "Message"), ("region", "Region")]
}
PAGE = re.compile(r"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
OS_ERROR = re.compile(r"^\s+code: (\d+),$", re.MULTILINE)
HOST = re.compile(r"^\s+uri: Some\(\n\s+(\S+),$", re.MULTILINE)
VARIANT = re.compile(r"^\s+(?:\w+: )?([A-Z]\w+)(?: \{|\(|,)", re.MULTILINE)
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
REASON = re.compile(r'^\s+(?:message|error): "((?:[^"\\]|\\.)*)",$', re.MULTILINE)
CERTIFICATE = re.compile(r"InvalidCertificate\(\s*((?:(?:Other|OtherError)\(\s*)*)(\w+)")
ESCAPED = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))", re.DOTALL)
LETTERS = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
# Kinds of errors of a connection that have no text of their own.
CAUSES = {
    "TimedOut": "no answer in time",
    "IncompleteMessage": "the connection was closed before an answer",
    "IncompleteBody": "the answer was cut off",
    "UnexpectedEof": "the answer was cut off",
    "Parse": "the answer is not HTTP",
    "InvalidMessage": "the answer is not TLS",
}
LONGEST = 300  # characters of a message of a store


@dataclass(frozen=True)
class Answer:
    """What an error says in fields of their own.

    Args:
        status: Of HTTP; 0 where there was no answer.
        code: The store's error code, such as AccessDenied; empty where it gave none.
        message: The store's message; empty where it gave none.
        region: The region that the store names; empty where it names none.
        number: Of the operating system's error; 0 where it is none.
        host: That was asked.
        cause: The innermost cause of an error of the connection, in words; empty where none is known.
        certificate: Why the certificate of the host was not accepted, in words; empty where it was.
        is_page: Whether the answer is a page for browsers.
        variants: Names of the kinds of error that led to it, in obstore's words.
    """

    status: int = 0
    code: str = ""
    message: str = ""
    region: str = ""
    number: int = 0
    host: str = ""
    cause: str = ""
    certificate: str = ""
    is_page: bool = False
    variants: frozenset[str] = frozenset()

    @property
    def shown(self) -> str:
        """The store's own words in parentheses: the code, or else the status, and the message."""
        name = self.code or (str(self.status) if self.status else "")
        words = ": ".join(filter(None, [name, self.message or self.cause]))
        return f" ({words})" if words else ""


def read_answer(error: BaseException) -> Answer:
    """Return what an error of obstore or of the operating system says in fields of their own."""
    _, mark, debug = str(error).rpartition(DEBUG)
    if not mark:
        return Answer(number=getattr(error, "errno", None) or 0)
    met, status, number = BODY.search(debug), STATUS.search(debug), OS_ERROR.search(debug)
    body = unescape(met[1]) if met else ""
    found = read_body(body) or {name: unescape(said[1]) for name, said in find_all(OF_OBJECT, debug).items()}
    bare, host = STRING.sub('""', debug), HOST.search(debug)
    variants, untrusted = frozenset(VARIANT.findall(bare)), CERTIFICATE.search(bare)
    reasons = REASON.findall(debug)
    cause = unescape(reasons[-1]) if reasons else next((CAUSES[name] for name in CAUSES if name in variants), "")
    return Answer(
        status=int(status[1]) if status else 0,
        code=found.get("code", ""),
        message=shorten(found.get("message", "")),
        region=found.get("region", ""),
        number=int(number[1]) if number else 0,
        host=urlsplit(host[1]).hostname or "" if host else "",
        cause=shorten(cause) if not status else "",
        certificate=to_words(untrusted[2]) if untrusted else "",
        is_page=bool(PAGE.match(body)),
        variants=variants,
    )


def read_body(body: str) -> dict[str, str]:
    """Return code, message and region in the body of an answer, as far as it has them.

    Example:
        >>> read_body("<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
        {'code': 'SlowDown', 'message': 'Please reduce your request rate.'}
        >>> read_body('{"error": {"code": 403, "message": "no", "errors": [{"reason": "forbidden"}]}}')
        {'code': 'forbidden', 'message': 'no'}
    """
    if body.lstrip().startswith("{"):
        return read_json(body)
    return {name: html.unescape(met[1]) for name, met in find_all(IN_XML, body).items()}


def read_json(body: str) -> dict[str, str]:
    """Return code and message of an answer in JSON, as those of Google and of token services."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    match content:
        case {"error": {"errors": [{"reason": str(code)}, *_], "message": str(message)}}:
            return {"code": code, "message": message}
        case {"error": {"status": str(code), "message": str(message)}}:
            return {"code": code, "message": message}
        case {"error": {"code": code, "message": str(message)}}:
            return {"code": str(code), "message": message}
        case {"error": str(code), **rest}:
            return {"code": code, "message": str(rest.get("error_description", ""))}
        case _:
            return {}


def find_all(patterns: dict[str, re.Pattern[str]], text: str) -> dict[str, re.Match[str]]:
    """Return the first match of each pattern that has one."""
    return {name: met for name, pattern in patterns.items() if (met := pattern.search(text))}


def unescape(text: str) -> str:
    r"""Return a string as it was before Rust wrote it with escapes.

    Example:
        >>> unescape(r'a \"b\"\n')
        'a "b"\n'
    """

    def replace(met: re.Match[str]) -> str:
        return chr(int(met[1], 16)) if met[1] else LETTERS.get(met[2], met[2])

    return ESCAPED.sub(replace, text)


def shorten(text: str) -> str:
    """Return a message in one line, without credentials, and cut where it is long."""
    line = " ".join(mask(text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def to_words(name: str) -> str:
    """Return the name of a kind of error in words.

    Example:
        >>> to_words("UnknownIssuer")
        'unknown issuer'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def is_panic(error: BaseException) -> bool:
    """Return whether native code has stopped at something that it does not expect; each library has its own class."""
    return type(error).__name__ == "PanicException"


def plain_text(error: BaseException) -> str:
    """Return an error's text in one line, without credentials and without obstore's structure of it."""
    text, mark, structure = str(error).rpartition(DEBUG)
    return " ".join(mask(text if mark else structure).split())
