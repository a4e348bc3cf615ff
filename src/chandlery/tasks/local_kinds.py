"""The kinds of files with local times, and of files that would have to be read like them.

What one file shows holds for all files of its kind, of other symbols too: they were written in the same zone.
"""

from collections.abc import Iterable, Mapping

from chandlery.sources.decisions import Decisions, is_naive
from chandlery.sources.grids import Seen
from chandlery.sources.local_times import find_local_kind, find_set_kind, name_local
from chandlery.state.records import FileRecord

__all__ = ["find_local", "list_naive", "list_naive_kinds"]


def find_local(records: Mapping[str, FileRecord], seen: Mapping[str, Seen]) -> dict[str, str]:
    """Return the kinds of files with local times, each with one of these files.

    They are refused for their times, or somebody has set their zone.

    Args:
        records: What the lake has of files, by source.
        seen: What the first rows of new files show, by source.
    """
    local = {find_local_kind(name_local(each.error)): source for source, each in seen.items() if each.error is not None}
    local |= {find_local_kind(record.decisions): source for source, record in records.items() if record.problem}
    readable = [(source, each.decisions) for source, each in seen.items() if each.error is None]
    readable += [(source, record.decisions) for source, record in records.items() if record.problem is None]
    local |= {find_set_kind(decisions): source for source, decisions in readable}
    return {kind: source for kind, source in sorted(local.items()) if kind}


def list_naive(seen: Mapping[str, Seen]) -> dict[str, list[str]]:
    """Return new files whose times have no offset and that can be read, by kind."""
    naive: dict[str, list[str]] = {}
    for source, each in seen.items():
        if each.error is None and is_naive(each.decisions):
            naive.setdefault(each.kind, []).append(source)
    return naive


def list_naive_kinds(decisions: Iterable[Decisions]) -> set[str]:
    """Return the kinds of files whose times have no offset."""
    return {each["kind"].value for each in decisions if is_naive(each)}
