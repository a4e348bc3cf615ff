"""Messages of an ingest to the user, such as about files that are read again, missing or refused."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import msgspec

from chandlery.runs.belonging import PairName
from chandlery.runs.estimates import raw_seconds
from chandlery.runs.references import choose_references
from chandlery.runs.session import Session
from chandlery.runs.survey import Source, describe_foreign
from chandlery.state.fingerprints import describe_changes
from chandlery.state.paths import SUMMARY
from chandlery.tasks.ingest import IngestResult

__all__ = ["report_ingest", "report_reading", "report_refusals"]


def report_ingest(session: Session, results: Sequence[IngestResult]) -> None:
    """Report the results of the ingest, once all of it is published."""
    report_results(session, results)
    report_references(session)
    report_refusals(session)


def report_reading(session: Session, source: Source, pending: Sequence[PairName]) -> None:
    """Report which files stay where the settings would not place them, and why unchanged files are read again."""
    if stays := source.belonging.stays:
        example, pair = min(stays.items())
        count = f"{len(stays):,} file{'s' if len(stays) > 1 else ''}"
        found = f"the settings now assign {count} elsewhere, such as {example}, which the lake has as {pair}: they stay"
        session.note(f"{found}. Hint: check [source] exchange and [[source.layout]]; --restate moves them")
    if source.foreign:
        session.note(f"left out {describe_foreign(source.foreign)}")
    before = session.summary.code
    if not before and any(source.years.values()):
        session.note(
            f"{SUMMARY} is missing, damaged, of another version or older than the tables: all files are read again"
        )
    elif before and (changes := describe_changes(before, source.code)):
        size = sum(raw.size_bytes for pair in pending for raw in source.files[pair])
        cost = f"{size / 1e6:,.0f} MB, about {raw_seconds(size):,.0f} CPU-s"
        session.note(f"code or libraries changed ({changes}): all files are read again, {cost}")
    for pair in pending:
        for run in source.runs_of(pair):
            if source.has_lost(run, pair.symbol):
                found = f"objects of {pair.symbol} are missing from the table candles"
                run.note(f"{found}: all its files are read again")


def report_results(session: Session, results: Sequence[IngestResult]) -> None:
    """Report the notes of the tasks, files that were read under other settings, and files that are missing."""
    for note in chain.from_iterable(result.notes for result in results):
        session.note(note)
    report_early(session, results)
    untimely: Counter[str] = Counter()
    for result in results:
        untimely.update(result.untimely)
    if untimely:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(untimely.items()))
        session.note(f"rows were rejected for their time: {counts}. Hint: `chandlery explain SYMBOL` lists them")
    if held_back := sum(result.held_back for result in results):
        found = f"{held_back:,} file{'s keep' if held_back > 1 else ' keeps'} a setting of [[source.layout]]"
        session.note(f"{found} that this run does not give. Hint: --restate reads such files without it")
    for is_pruned in (True, False):
        chosen = [result for result in results if session.series[result.series].prunes(result.symbol) == is_pruned]
        files, candles = (sum(result.vanished[place] for result in chosen) for place in (0, 1))
        if files:
            gone, whose = ("files are gone", "their") if files > 1 else ("file is gone", "its")
            ending = "were deleted, as --prune asks" if is_pruned else "stay. Hint: --prune deletes them"
            session.note(f"{files:,} {gone} from the source: {whose} {candles:,} candles {ending}")


def report_early(session: Session, results: Sequence[IngestResult]) -> None:
    """Report candles that open after their files were written, as after a copy that sets old times."""
    early: Counter[str] = Counter()
    for result in results:
        early.update(result.early)
    if early:
        count = f"{early.total():,} candles open after their files were written by the store's clock"
        files = f"{len(early):,} file{'s' if len(early) > 1 else ''}, such as {min(early)}"
        session.note(f"{count} ({files}): which of them had closed is not known, and all are kept")


def report_references(session: Session) -> None:
    """Report each series with several symbols whose market is empty, or would now be chosen differently."""
    for run in session.series.values():
        symbols = [symbol for symbol, summary in run.summary.symbols.items() if summary.candles]
        references, chosen = run.series.references, choose_references(symbols)
        if len(symbols) <= 1 or session.settings.forecast_of(run.name).references or references == chosen:
            continue
        is_empty = not set(references).intersection(symbols)
        found = (
            "the market is empty: it has candles of none of"
            if is_empty
            else "the market would now be chosen differently from"
        )
        line = f"references = {msgspec.json.encode(chosen).decode()}"
        run.note(f"{found} {', '.join(references)}. Hint: set [forecast] {line}, or give --restate to take them")


def report_refusals(session: Session) -> None:
    """Report every file that is refused, including those that earlier runs refused."""
    for run in session.series.values():
        for summary in run.summary.symbols.values():
            for message in summary.problems:
                session.refuse(3, message)
    for message in session.summary.unassigned.problems:
        session.refuse(3, message)
