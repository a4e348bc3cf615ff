"""What files lend to files like them: a decision that the rows of one file leave open and those of others do not."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from chandlery.sources.decisions import BY_HAND, BY_LIKE, Decisions

__all__ = ["LENT", "Habit", "find_habit", "lend", "list_rivals"]

# What can be lent, by the code of the decision that is open.
LENT = {
    "columns": ("columns",),
    "time_column": ("time_column",),
    "time_format": ("time_format",),
    "time_unit": ("time_unit",),
    "volume": ("volume",),
}
NAMES = tuple(name for names in LENT.values() for name in names)


class Habit(NamedTuple):
    """How files of one kind were read by their own evidence.

    Args:
        kind: The kind of the files.
        values: What was decided, as name and value, by name.
    """

    kind: str
    values: tuple[tuple[str, str], ...]


def find_habit(decisions: Decisions) -> Habit | None:
    """Return what a file can lend by its own evidence; None if its kind is not known.

    What was set by hand or borrowed is no evidence: it could be wrong for other files.
    """
    if "kind" not in decisions:
        return None
    own = ((name, decisions[name]) for name in NAMES if name in decisions)
    values = tuple((name, each.value) for name, each in own if each.by not in {BY_HAND, BY_LIKE})
    return Habit(decisions["kind"].value, values) if values else None


def lend(decision: str, kind: str, habits: Iterable[Habit]) -> dict[str, str]:
    """Return the settings that decide what the rows of a file leave open.

    Args:
        decision: The code of the decision that is open.
        kind: The kind of the file.
        habits: How other files were read.

    Returns:
        Values by the names of settings; empty unless all files of the kind that decided agree.
    """
    found: dict[str, set[str]] = {}
    for habit in habits:
        if habit.kind == kind:
            for name, value in habit.values:
                found.setdefault(name, set()).add(value)
    return {name: next(iter(found[name])) for name in LENT.get(decision, ()) if len(found.get(name, ())) == 1}


def list_rivals(habit: Habit, borrowed: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the values that files of a kind have borrowed and that a habit contradicts, by name.

    Args:
        habit: How a new file is read by its own evidence.
        borrowed: What files of the lake have borrowed, by kind.
    """
    own = dict(habit.values)
    return {name: value for name, value in borrowed.get(habit.kind, {}).items() if name in own and own[name] != value}
