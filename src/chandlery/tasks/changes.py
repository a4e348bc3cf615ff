"""How settings would change the reading of a file that the lake has and that has not changed."""

from collections.abc import Iterable, Mapping

import msgspec

from chandlery.errors import SettingsError, SourceError
from chandlery.lake.store import Store
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.decisions import list_given, name_given
from chandlery.sources.raw_files import RawFile
from chandlery.sources.surveys import peek_parts
from chandlery.sources.symbols import add_given, match_layout
from chandlery.state.records import FileRecord
from chandlery.tasks.past import hash_reading, is_same

__all__ = ["Change", "check_changes", "find_change"]

BELONGING = {"symbol", "exchange"}  # decided before, with the pair of the file
SHOWN = 5  # files that a message names
PLACED = {"interval", "offset", "stamps"}  # decided with the other files of the symbol: compared as they are


class Change(msgspec.Struct, frozen=True):
    """A decision about a file of the lake that settings would make otherwise.

    Args:
        source: The file.
        name: The setting.
        before: How the lake has it.
        after: What the setting says, or why the file could not be read with it.
    """

    source: str
    name: str
    before: str
    after: str


def find_change(store: Store, file: RawFile, record: FileRecord, settings: ReadingSettings) -> Change | None:
    """Return how the settings would change the reading of a file; None if they would not.

    The first rows of the file are read again only if a setting is new or has another value, and is not what was decided
    without it. A setting that is no longer given changes nothing: the file keeps it.

    Args:
        store: The source.
        file: The file as it is in the source now.
        record: What the lake has of it.
        settings: How this run would read it.
    """
    if record.problem is not None or not is_same(record, file) or not record.decisions:
        return None
    if record.reading == hash_reading(settings, file.source):
        return None
    now = {
        name: each.value for name, each in name_given(match_layout(file.source, settings) or LayoutSettings()).items()
    }
    before = {name: each.value for name, each in record.decisions.items()}
    fresh = {name: value for name, value in now.items() if name not in BELONGING and before.get(name) != value}
    for name in sorted(fresh.keys() & PLACED):
        return Change(file.source, name, before.get(name, ""), fresh[name])
    return compare_readings(store, file, record, settings, fresh) if fresh else None


def compare_readings(
    store: Store, file: RawFile, record: FileRecord, settings: ReadingSettings, fresh: Mapping[str, str]
) -> Change | None:
    """Return a decision that new settings make otherwise by the first rows of a file; None if there is none.

    Args:
        store: The source.
        file: The file.
        record: What the lake has of it.
        settings: How this run would read it.
        fresh: The new settings, which are compared first.
    """
    given = list_given(record.decisions)
    try:
        with store.open(file.path, file.size_bytes) as stream:
            seen = peek_parts(stream, file, add_given(settings, given))
    except SourceError as error:
        return Change(file.source, getattr(error, "decision", "text"), "read", f"refused, because {error.found}")
    if seen is None:  # of several series: a setting is compared with what was decided as it stands
        name = min(fresh)
        before = record.decisions.get(name)
        return Change(file.source, name, before.value if before else "", fresh[name])
    for name, each in sorted(record.decisions.items(), key=lambda named: named[0] not in fresh):
        other = seen.decisions.get(name)
        if other is not None and other.value != each.value and name not in {*BELONGING, *PLACED, "kind"}:
            return Change(file.source, name, each.value, other.value)
    return None


def check_changes(changes: Iterable[Change]) -> None:
    """Check that the settings of a run change no file that the lake has and that has not changed.

    Raises:
        SettingsError: They do.
    """
    found = sorted(changes, key=lambda change: change.source)
    if not found:
        return
    shown = "; ".join(f"{each.source}: {each.name} {each.before} → {each.after}" for each in found[:SHOWN])
    more = f"; and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    count = f"{len(found):,} unchanged file{'s' if len(found) > 1 else ''}"
    raise SettingsError(
        f"the settings would change how {count} of the lake would be read: {shown}{more}",
        "settings that leave the files of the lake as they were read",
        "let the settings match new files alone, or give --restate to read these again; `chandlery migrate --exchange "
        "NAME` names an exchange without computing anything",
    )
