"""What was decided about a file, in the words of the settings that could have decided it, and by what evidence.

A file whose own rows leave a decision open takes it from files that are like it: files of one kind of path with columns
of the same names. So one vocabulary serves settings by hand, the decisions of the ledger, and what like files lend.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote

import msgspec

from chandlery.settings.model import LayoutSettings
from chandlery.sources.columns import Columns
from chandlery.sources.heads import Head
from chandlery.sources.pairs import Pair, spell
from chandlery.sources.path_words import split_tails
from chandlery.sources.symbols import read_path
from chandlery.sources.time_columns import ChosenTime
from chandlery.sources.words import split_words
from chandlery.units import parse_interval, parse_offset, to_interval_text

__all__ = [
    "BY_HAND",
    "BY_LIKE",
    "Decision",
    "Decisions",
    "decode",
    "describe_columns",
    "describe_time",
    "encode",
    "find_kind",
    "generalise_path",
    "is_naive",
    "list_given",
    "name_column",
    "name_decisions",
    "name_given",
]


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """A decision about a file.

    Args:
        value: What was decided, as the setting of the same name would say it.
        by: What decided it.
    """

    value: str
    by: str


Decisions = dict[str, Decision]
# Their order in the ledger.
ORDER = (
    "symbol market exchange interval offset stamps timezone time_column time_unit time_format columns volume text "
    "skip_rows decimal split kind"
).split()
BY_HAND = "set by hand"
BY_LIKE = "files like it"
BY_NOTHING = "times without an offset are in UTC unless something says otherwise"


def encode(decisions: Mapping[str, Decision]) -> str:
    """Return decisions as the ledger keeps them: a JSON object of arrays of value and evidence."""
    return msgspec.json.encode(decisions).decode()


def decode(text: str | None) -> Decisions:
    """Return decisions from the ledger; none from a row of an earlier release."""
    return msgspec.json.decode(text, type=Decisions) if text else {}


def name_given(by_hand: LayoutSettings) -> Decisions:
    """Return the decisions that the settings of a file make."""
    given = by_hand.model_dump(mode="json", exclude={"files"}, exclude_none=True)
    if by_hand.interval is not None:
        given["interval"] = to_interval_text(parse_interval(by_hand.interval))
    if by_hand.offset is not None:
        given["offset"] = to_interval_text(parse_offset(by_hand.offset))
    texts = {name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in given.items()}
    return {name: Decision(text, BY_HAND) for name, text in texts.items()}


def is_naive(decisions: Mapping[str, Decision]) -> bool:
    """Return whether the times of a file have no offset, and nothing says in which zone they are."""
    return "timezone" in decisions and decisions["timezone"].by == BY_NOTHING


def list_given(decisions: Mapping[str, Decision], *sources: str) -> dict[str, str]:
    """Return the settings that were given for a file, by hand or by like files, as they are told apart by `sources`."""
    return {
        name: each.value
        for name, each in decisions.items()
        if each.value and each.by in (sources or (BY_HAND, BY_LIKE))
    }


def name_decisions(decisions: Mapping[str, Decision], symbol: str) -> Decisions:
    """Return the decisions of a file in their order, with the symbol under which the lake has it.

    The exchange has its evidence alone, because a lake may name its exchange later without reading a file again.

    Args:
        decisions: Those of its content.
        symbol: The symbol.
    """
    known = {**decisions, "symbol": Decision(symbol, decisions["symbol"].by)}
    return {name: known[name] for name in ORDER if name in known}


def describe_time(time: ChosenTime, found: Head, by_hand: LayoutSettings) -> Decisions:
    """Return the decisions about the time of a file."""
    form, table = time.form, found.table
    is_set = by_hand.time_unit is not None or by_hand.time_format is not None
    shown = next((text for text in table.texts(time.place) if text), "")[:40]
    by = BY_HAND if is_set else f"texts such as {shown}"
    decisions = {"time_column": Decision(name_column(table, time.place), time.evidence)}
    if form.form == "epoch":
        by = by if is_set or not form.is_mixed else "each row's number of digits"
        decisions["time_unit"] = Decision(form.unit, by)
    else:
        decisions["time_format"] = Decision(form.pattern or form.form, by)
    if not form.is_naive:
        decisions["timezone"] = Decision("UTC", "epochs" if form.form == "epoch" else "the offset of each time")
    else:
        by = BY_HAND if form.timezone else BY_NOTHING
        decisions["timezone"] = Decision(form.timezone or "UTC", by)
    return decisions


def name_column(table: Columns, place: int) -> str:
    """Return a column as settings name it: by its name, or by its number from 1 where it has none of its own."""
    names = list(table.names or [])
    name = names[place] if names else ""
    return name if name and "\n" not in name and names.count(name) == 1 else str(place + 1)


def describe_columns(order: Mapping[str, int], width: int, evidence: str) -> Decision:
    """Return which column is which, as the setting `columns` says it.

    Args:
        order: The place of each role.
        width: How many columns there are.
        evidence: What decided it.
    """
    roles = {place: role for role, place in order.items()}
    return Decision(", ".join(roles.get(place, "-") for place in range(width)), evidence)


def find_kind(source: str, found: Head) -> str:
    """Return the kind of a file: files of one kind come from one collector, as far as path and columns tell.

    Example:
        >>> from chandlery.sources.columns import Columns
        >>> head = Head("fields", "CSV", Columns(["t", "o", "h", "l", "c", "v"], []))
        >>> find_kind("kraken/BTC-USD/2019-01.csv", head)
        'kraken/*-*/0-0 fields , t|o|h|l|c|v'
        >>> find_kind("kraken/BTC-USD/2019-01.csv", head) == find_kind("kraken/ETH-EUR/2020-12.csv", head)
        True
    """
    pair = read_path(source).pair
    of_pair = list_currencies(pair)
    path = generalise_path(source, pair)
    names = found.table.names
    columns = "|".join(generalise(name, of_pair) for name in names) if names is not None else str(found.table.width)
    return f"{path} {found.form} {found.separator} {columns}"


def generalise_path(source: str, pair: Pair | None) -> str:
    """Return the path of a file without its numbers and the currencies of its pair.

    Example:
        >>> generalise_path("kraken/BTC-USD/2019-01.csv", Pair("BTC", "USD"))
        'kraken/*-*/0-0'
    """
    of_pair = list_currencies(pair)
    return "".join(mark + generalise(part, of_pair) for mark, part in re.findall(r"([/!]?)([^/!]+)", source))


def list_currencies(pair: Pair | None) -> frozenset[str]:
    """Return the words in which a path, or the name of a column, can name a pair."""
    return frozenset([pair.base, pair.quote, pair.base + pair.quote]) if pair else frozenset()


@lru_cache(maxsize=10_000)  # many files have the same folders
def generalise(text: str, of_pair: frozenset[str]) -> str:
    """Return a part of a path, or the name of a column, without its numbers and the currencies of the pair."""
    words = [
        word.before + ("0" if word.is_number else "*" if spell(word) in of_pair else re.sub(r"\d+", "0", word.lower))
        for word in split_tails(split_words(unquote(text)))
    ]
    return "".join(words)
