"""The ingest task: the raw files of a symbol to candles, rejects and ledger.

Only new and changed files are read, and those whose time range overlaps with theirs: other versions of
the same candle can only come from these. All other rows of the tables stay unchanged.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from chandlery.sources.rows import Room
from chandlery.state.records import FileRecord, hash_candles, write_ingested
from chandlery.tasks.past import StoredSymbol, list_years, measure_span
from chandlery.tasks.reading import IngestTask, Reading
from chandlery.tasks.staging import Staging

__all__ = ["IngestResult", "IngestTask", "ingest_symbol"]


@dataclass(frozen=True)
class IngestResult:
    """What the ingest of a symbol did.

    Args:
        series: Name of the series.
        symbol: The symbol.
        candles: Hash of the candles; empty if there are none.
        first_day: UTC day on which the first candle closes, since 1970; None if there are none.
        newest_ms: close_time of the newest candle; 0 if there are none.
        years: Calendar years with candles.
        problems: Why files were refused, as messages.
        gone: Whether the tables hold rows of files that are gone from the source.
        vanished: How many files are gone since the last run, or pruned, and how many candles they hold.
        held_back: How many files were read under other settings and not read again.
        notes: Messages that are not refusals.
    """

    series: str
    symbol: str
    candles: str
    first_day: int | None
    newest_ms: int
    years: list[int]
    problems: list[str]
    gone: bool
    vanished: tuple[int, int]
    held_back: int
    notes: list[str]


def ingest_symbol(task: IngestTask) -> IngestResult:
    """Read new and changed files, and stage the symbol's candles, rejects, ledger and ingest state.

    Raises:
        LawError: Some rows of a file are not accounted for.
        LeaseHeldError: Another run has taken the lake.
    """
    stored = StoredSymbol(task.lake, task.symbol, unfinished=task.unfinished, reread=task.reread)
    # Files stay open until the tables are staged, since the text of rejected rows is read then.
    with ExitStack() as open_files, Room(task.room_bytes) as room:
        reading = Reading(task, stored, open_files, room)
        reading.read_all()
        staging = Staging(task, stored, reading, by_month=room.is_full)
        staging.stage_tables()
    ingested = staging.compose_state()
    task.lake.guard()
    write_ingested(task.lake, task.symbol, ingested, task.lake.staging)
    years = list_years(ingested.days)
    first_day, newest_ms = measure_span(ingested, task.lake.grid) if ingested.days.size else (None, 0)
    return IngestResult(
        series=task.lake.series.name,
        symbol=task.symbol,
        candles=hash_candles(ingested),
        first_day=first_day,
        newest_ms=newest_ms,
        years=years,
        problems=find_problems(task, ingested.files),
        gone=len(reading.gone) > len(reading.pruned),
        vanished=(len(reading.vanished), sum(account["rows_kept"] for account in reading.vanished)),
        held_back=reading.held_back,
        notes=[*staging.notes, *note_lost_years(task, stored.years, years)],
    )


def find_problems(task: IngestTask, records: list[FileRecord]) -> list[str]:
    """Return why files in the source were refused, and which have too many refused rows, as messages.

    A file that is gone from the source is no longer a problem, but its record stays: the same file may return.
    """
    share, problems = task.settings.max_rejected_share, []
    present = {file.source for file in task.files}
    for record in (record for record in records if record.source in present):
        if record.problem:
            problems.append(record.problem)
        elif record.rejected_share > share:
            found = f"{record.source}: {record.rejected_share:.1%} of its rows were refused, more than {share:.1%}"
            problems.append(f"{found}. Hint: see `chandlery explain {task.symbol}`")
    return problems


def note_lost_years(task: IngestTask, before: list[int], years: list[int]) -> list[str]:
    """Return a message about years whose candles were missing from the table and could not be read again, if any."""
    lost = sorted({*before}.difference(years)) if task.reread else []
    if not lost:
        return []
    names = ", ".join(map(str, lost))
    return [f"candles of {task.symbol} of {names} are lost: no file of the source holds any"]
