"""What an ingest reports to the user: files that stay where they are, that are read again, that are gone or refused."""

from collections.abc import Sequence
from itertools import chain

import msgspec

from chandlery.runs.belonging import PairName
from chandlery.runs.estimates import raw_seconds
from chandlery.runs.references import choose_references
from chandlery.runs.session import Session
from chandlery.runs.survey import Source
from chandlery.state.fingerprints import describe_changes
from chandlery.state.paths import SUMMARY
from chandlery.tasks.ingest import IngestResult

__all__ = ["report_ingest", "report_reading", "report_refusals"]


def report_ingest(session: Session, results: Sequence[IngestResult]) -> None:
    """Report what came of the ingest, once all of it is published."""
    report_results(session, results)
    report_references(session)
    report_refusals(session)


def report_reading(session: Session, source: Source, pending: Sequence[PairName]) -> None:
    """Report which files stay where the settings would not place them, and why unchanged files are read again."""
    if stays := source.belonging.stays:
        some, pair = min(stays.items())
        count = f"{len(stays):,} file{'s' if len(stays) > 1 else ''}"
        found = (
            f"the settings would now place {count} elsewhere, such as {some}, which the lake has as {pair}: they stay"
        )
        session.tell(f"{found}. Hint: check [source] exchange and [[source.layout]]; --restate moves them")
    before = session.summary.code
    if not before and any(source.years.values()):
        session.tell(
            f"{SUMMARY} is missing, damaged, of another version or older than the tables: all files are read again"
        )
    elif before and (changes := describe_changes(before, source.code)):
        size = sum(raw.size_bytes for pair in pending for raw in source.files[pair])
        cost = f"{size / 1e6:,.0f} MB, about {raw_seconds(size):,.0f} CPU-s"
        session.tell(f"code or libraries changed ({changes}): all files are read again, {cost}")
    for pair in pending:
        for run in source.runs_of(pair):
            if source.has_lost(run, pair.symbol):
                found = f"objects of {pair.symbol} are missing from the table candles"
                run.tell(f"{found}: all its files are read again")


def report_results(session: Session, done: Sequence[IngestResult]) -> None:
    """Report what became of files that are gone, or that were read under other settings."""
    for note in chain.from_iterable(result.notes for result in done):
        session.tell(note)
    if held_back := sum(result.held_back for result in done):
        found = f"{held_back:,} file{'s were' if held_back > 1 else ' was'} read under other settings of [source]"
        session.tell(f"{found}: the tables keep what was read. Hint: --restate reads such files again")
    for is_pruned in (True, False):
        chosen = [found for found in done if session.series[found.series].prunes(found.symbol) == is_pruned]
        files, candles = (sum(found.vanished[place] for found in chosen) for place in (0, 1))
        if files:
            found = f"{files:,} file{'s are' if files > 1 else ' is'} gone from the source: their {candles:,} candles"
            ending = "were deleted, as --prune asks" if is_pruned else "stay. Hint: --prune deletes them"
            session.tell(f"{found} {ending}")


def report_references(session: Session) -> None:
    """Report for each series with several symbols whose market is empty, or would now be chosen otherwise."""
    for run in session.series.values():
        symbols = [symbol for symbol, held in run.summary.symbols.items() if held.candles]
        references, chosen = run.series.references, choose_references(symbols)
        if len(symbols) <= 1 or session.settings.forecast_of(run.name).references or references == chosen:
            continue
        is_empty = not set(references).intersection(symbols)
        found = (
            "the market is empty: it has candles of none of"
            if is_empty
            else "the market would now be chosen otherwise than"
        )
        line = f"references = {msgspec.json.encode(chosen).decode()}"
        run.tell(f"{found} {', '.join(references)}. Hint: set [forecast] {line}, or give --restate to take them")


def report_refusals(session: Session) -> None:
    """Report every file that is refused, also those of earlier runs."""
    for run in session.series.values():
        for held in run.summary.symbols.values():
            for message in held.problems:
                session.refuse(3, message)
    for message in session.summary.unassigned.problems:
        session.refuse(3, message)
