"""A file that is refused because one decision about how to read it is open, and the settings that decide it."""

import fnmatch
import json
import string
from collections.abc import Collection, Iterable, Mapping, Sequence

from chandlery.errors import SourceError

__all__ = ["HOW_TO_NAME", "NO_SYMBOL", "UndecidedError", "join_hints", "match_exactly", "paste"]

NO_SYMBOL = "?"  # in lines to paste where nothing tells the symbol: settings refuse it, so that it is replaced
HOW_TO_NAME = 'such as "BTCUSD": base, then quote; futures as in "BTCUSDT_PERP" or "BTCUSD_240329"'
# What is decided about every file, in this order: the codes of refusals, and the keys of the ledger's decisions.
DECISIONS = (
    "text",
    "shape",
    "symbol",
    "market",
    "exchange",
    "time_column",
    "time_format",
    "time_unit",
    "timezone",
    "columns",
    "volume",
    "interval",
    "offset",
    "stamps",
    "series",
)


class UndecidedError(SourceError):
    """The evidence about a file leaves a decision open, or contradicts itself.

    Args:
        decision: One of `DECISIONS`.
        found: What was found, with the name of the file.
        expected: What would have been right.
        hint: What to do about it.

    Attributes:
        kind: The kind of file that it is; empty where that is not known.
    """

    def __init__(self, decision: str, found: str, expected: str = "", hint: str = "") -> None:
        super().__init__(found, expected, hint)
        self.decision = decision
        self.kind = ""

    def __reduce__(self) -> tuple[type["UndecidedError"], tuple[str, str, str, str], dict[str, str]]:
        return type(self), (self.decision, self.found, self.expected, self.hint), {"kind": self.kind}


def paste(source: str, settings: Mapping[str, object], notes: Mapping[str, str] | None = None) -> str:
    """Return a hint with the lines of a settings file that decide how a file is read.

    Args:
        source: The path of the file below the source.
        settings: The settings of its layout, by name.
        notes: A comment for the line of a setting, such as other values to choose from.

    Example:
        >>> print(paste("a.csv", {"symbol": "LTCUSD"}, {"symbol": 'or "LTCEUR"'}))
        paste these lines into chandlery.toml, with the value that is right:
        [[source.layout]]
        files = "a.csv"
        symbol = "LTCUSD"  # or "LTCEUR"
    """
    comments = notes or {}
    lines = ["[[source.layout]]", f"files = {to_toml(match_exactly(source))}"]
    for name, value in settings.items():
        comment = f"  # {comments[name]}" if name in comments else ""
        lines.append(f"{name} = {to_toml(value)}{comment}")
    return "\n".join(["paste these lines into chandlery.toml, with the value that is right:", *lines])


def join_hints(hints: Mapping[str, str], others: Iterable[str]) -> str:
    """Return one hint for several files: with a pattern that matches all of them, where the lines to paste are equal.

    Args:
        hints: The hint of each file, by its path; the first one is returned if there is no such pattern.
        others: Paths that the pattern must not match.

    Example:
        >>> hints = {path: paste(path, {"volume": "vol"}) for path in ("a/2019-01.csv", "a/2019-02.csv")}
        >>> print(join_hints(hints, ["a/ETHUSD.csv"]))
        paste these lines into chandlery.toml, with the value that is right:
        [[source.layout]]
        files = "a/2019-*.csv"
        volume = "vol"
    """
    (first, hint), *_ = hints.items()
    lines = {path: f"files = {to_toml(match_exactly(path))}" for path in hints}
    texts = {each.replace(lines[path], "").replace(path, "") for path, each in hints.items()}
    if len(hints) == 1 or len(texts) > 1 or lines[first] not in hint:
        return hint
    before = find_start(hints).rstrip(string.digits)  # the numbers of later files may begin otherwise
    after = find_start([path[len(before) :][::-1] for path in hints])[::-1].lstrip(string.digits)
    pattern = f"{match_exactly(before)}*{match_exactly(after)}"
    if any(fnmatch.fnmatchcase(path, pattern) for path in others):
        return hint
    return hint.replace(lines[first], f"files = {to_toml(pattern)}")


def find_start(texts: Collection[str]) -> str:
    """Return what all of some texts begin with."""
    low, high = min(texts), max(texts)
    return low[: next((place for place, letter in enumerate(low) if letter != high[place]), len(low))]


def match_exactly(source: str) -> str:
    """Return the pattern that matches a path and no other one.

    Example:
        >>> match_exactly("a [1].csv")
        'a [[]1].csv'
    """
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in source)


def to_toml(value: object) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence):
        return f"[{', '.join(map(to_toml, value))}]"
    return json.dumps(value)
