"""The steps of the ingest stage once the series of each file is known: add series, and read the files.

A *pair* is a symbol of an exchange. Its files may have several intervals, and so belong to several series. Files are
ingested with one task per series and symbol.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from msgspec.structs import replace

from chandlery.grid import Grid
from chandlery.lake.lake_file import UNNAMED
from chandlery.lake.tables import parse_partition
from chandlery.runs.belonging import NO_PAIR, PairName, name_source
from chandlery.runs.estimates import raw_seconds
from chandlery.runs.founding import name_series
from chandlery.runs.like_files import collect_habits, hash_habit, list_local
from chandlery.runs.mixed import list_sources
from chandlery.runs.session import Session
from chandlery.runs.survey import Source
from chandlery.sources.files import RawFile
from chandlery.state.fingerprints import fingerprint
from chandlery.state.records import Pair, SeriesSummary, Summary, SymbolSummary, Unassigned
from chandlery.tasks.bundle import ingest_bundle, make_bundles
from chandlery.tasks.ingest import IngestResult, IngestTask
from chandlery.tasks.recognise import Assigned
from chandlery.tasks.unassigned import UnassignedTask, refuse_unassigned

__all__ = ["add_series", "choose_series", "ingest_files", "split_files"]


def choose_series(assigned: Mapping[PairName, Assigned]) -> dict[tuple[str, int], tuple[Grid, set[str]]]:
    """Return the grid and the symbols of each series that files belong to, by exchange and interval.

    If the files of one series differ in the offset of their candles, the offset of most files is taken.
    """
    votes: dict[tuple[str, int], Counter[int]] = {}
    symbols: dict[tuple[str, int], set[str]] = {}
    for pair, of_pair in assigned.items():
        for grid in (*of_pair.grids.values(), *of_pair.part_grids):
            votes.setdefault((pair.exchange, grid.seconds), Counter())[grid.offset] += 1
            symbols.setdefault((pair.exchange, grid.seconds), set()).add(pair.symbol)
    return {
        key: (Grid(key[1], min(offsets, key=lambda offset: (-offsets[offset], offset))), symbols[key])
        for key, offsets in votes.items()
    }


def add_series(session: Session, assigned: Mapping[PairName, Assigned]) -> None:
    """Add the series that files belong to, unless the lake has them already."""
    before = {run.series.exchange for run in session.series.values()}
    session.add_series(choose_series(assigned))
    now = {run.series.exchange for run in session.series.values()}
    if UNNAMED in now - before:
        found = f"no exchange is named for the files: their candles are stored under exchange={UNNAMED}"
        hint = "Hint: `chandlery migrate --exchange NAME` names it later, without computing anything again"
        session.note(f"{found}. {hint}")


def ingest_files(
    session: Session, source: Source, assigned: Mapping[PairName, Assigned]
) -> tuple[Summary, list[IngestResult]]:
    """Read the new and changed files, and stage candles, rejects and ledger.

    Args:
        session: The run, which holds the lease.
        source: The raw files.
        assigned: The series that the files of each pair belong to.

    Returns:
        The summary to store once the staged objects are published, and the result of each task.
    """
    local = list_local(session.summary, assigned)
    tasks = [task for pair in assigned for task in make_tasks(session, source, pair, assigned[pair], local)]
    mark_as_begun(session, source, assigned)
    with session.stage("ingest", len(source.files), len(assigned)):
        results = read_tasks(session, source, tasks)
        for shown in list_shown(session, assigned, results.values()).values():
            local |= shown
        again = [task for task in tasks if results[name_task(task)].naive & local.keys()]
        unstage(session, again)
        results |= read_tasks(session, source, [dataclasses.replace(task, local=local) for task in again])
        unassigned = refuse_unassigned_files(session, source, assigned)
    in_order = [results[name_task(task)] for task in tasks]
    return summarise_ingest(session, source, assigned, in_order, unassigned), in_order


def name_task(task: IngestTask) -> tuple[str, str]:
    """Return the series and the symbol of a task."""
    return task.lake.series.name, task.symbol


def read_tasks(session: Session, source: Source, tasks: Sequence[IngestTask]) -> dict[tuple[str, str], IngestResult]:
    """Read the files of some tasks, and return the results by series and symbol."""
    bundles = make_bundles(tasks, session.engine.at_once)
    costs = [sum(estimate_seconds(source, task) for task in bundle.tasks) for bundle in bundles]
    read = session.map(ingest_bundle, bundles, costs, lambda results: results[0].symbol)
    return {(result.series, result.symbol): result for result in chain.from_iterable(read)}


def list_shown(
    session: Session, assigned: Mapping[PairName, Assigned], results: Iterable[IngestResult]
) -> dict[PairName, dict[str, str]]:
    """Return the kinds of files with local times, each with a file that shows it, by the pair of that file.

    Some files show it by their first rows, and others only as a whole.
    """
    shown = {
        pair: {kind: source for kind, source in of_pair.local.items() if source in of_pair.errors}
        for pair, of_pair in assigned.items()
    }
    for result in results:
        shown[PairName(session.series[result.series].series.exchange, result.symbol)] |= result.local
    return shown


def unstage(session: Session, tasks: Iterable[IngestTask]) -> None:
    """Delete the objects of tables that tasks have staged: not all of them may be staged again."""
    partitions = [{**task.lake.keys, "symbol": task.symbol} for task in tasks]
    if partitions:
        staged = [entry.path for entry in session.store.list(session.staging)]
        session.store.delete_all(path for path in staged if without_year(path) in partitions)


def without_year(path: str) -> dict[str, str]:
    """Return the partition keys in the path of an object, without the year."""
    return {name: value for name, value in parse_partition(path).items() if name != "year"}


def estimate_seconds(source: Source, task: IngestTask) -> float:
    """Estimate the CPU seconds of a task."""
    return raw_seconds(source.fresh_bytes(PairName(task.lake.series.exchange, task.symbol)))


def split_files(source: Source, pair: PairName, assigned: Assigned) -> dict[str, list[RawFile]]:
    """Return the files of a pair by series; none for a series whose files of this pair are all missing now."""
    files: dict[str, list[RawFile]] = {run.name: [] for run in source.runs_of(pair)}
    for raw in source.files[pair]:
        if grid := assigned.grids.get(raw.source):
            files.setdefault(name_series(pair.exchange, grid.seconds), []).append(raw)
    for raw, part in source.mixed.list_parts(pair):
        if part.seconds:
            files.setdefault(name_series(pair.exchange, part.seconds), []).append(raw)
    return {name: sorted(of_series, key=lambda raw: raw.source) for name, of_series in files.items()}


def make_tasks(
    session: Session, source: Source, pair: PairName, assigned: Assigned, local: Mapping[str, str]
) -> list[IngestTask]:
    """Return the tasks of a pair, one per series; `local` are the kinds of files with local times."""
    options, files = session.options, split_files(source, pair, assigned)
    without_series = frozenset([*assigned.errors, *(raw.source for raw in source.nameless)])
    tasks = []
    for name, of_series in files.items():
        run = session.series[name]
        known = run.summary.symbols.get(pair.symbol)
        others = (raw.source for other, raws in files.items() if other != name for raw in raws)
        task = IngestTask(
            lake=run.lake,
            source=source.store,
            settings=session.settings.source.reading,
            symbol=pair.symbol,
            files=tuple(recall_layouts(of_series, assigned)),
            code=fingerprint(source.code),
            prune=run.prunes(pair.symbol),
            restate=options.restate,
            reread=source.has_lost(run, pair.symbol),
            unfinished=known is not None and not known.is_whole,
            lent=assigned.lent,
            local=local,
            parts=list_sources(source.mixed.list_parts(pair), run.series.grid.seconds),
            unassigned=without_series if options.prune else frozenset(),
            moved=frozenset(others if options.restate else ()) | source.belonging.moved.get(pair, frozenset()),
        )
        tasks.append(task)
    return tasks


def recall_layouts(files: Iterable[RawFile], assigned: Assigned) -> Iterator[RawFile]:
    """Yield files with the layouts that were recognised when they were looked at."""
    for raw in files:
        known = assigned.known.get(raw.source)
        yield raw if known is None else dataclasses.replace(raw, known=known)


def mark_as_begun(session: Session, source: Source, pending: Collection[PairName]) -> None:
    """Record that the ingest of these pairs has begun: if this run is killed, the next one ingests them again."""
    summary = session.summary
    pairs = {
        str(pair): replace(summary.pairs[str(pair)], fingerprint="") for pair in pending if str(pair) in summary.pairs
    }
    begun: dict[str, dict[str, SymbolSummary]] = {}
    for pair in pending:
        for run in source.runs_of(pair):
            if known := run.summary.symbols.get(pair.symbol):
                begun.setdefault(run.name, {})[pair.symbol] = replace(known, is_whole=False)
    if pairs or begun:
        series = put_symbols(summary.series, begun)
        session.store_summary(replace(summary, pairs=summary.pairs | pairs, series=series))


def put_symbols(
    series: Mapping[str, SeriesSummary], symbols: Mapping[str, Mapping[str, SymbolSummary]]
) -> dict[str, SeriesSummary]:
    """Return the summaries of all series with those of some symbols replaced or added.

    Args:
        series: The summaries of all series.
        symbols: The new summaries of symbols, by series and symbol.
    """
    changed = {}
    for name, of_series in symbols.items():
        summary = series.get(name, SeriesSummary())
        changed[name] = replace(summary, symbols=dict(sorted({**summary.symbols, **of_series}.items())))
    return {**series, **changed}


def refuse_unassigned_files(session: Session, source: Source, assigned: Mapping[PairName, Assigned]) -> Unassigned:
    """Bring the ledger of files that belong to no series up to date, and return its summary.

    If a pair is up to date, those of its files that an earlier run refused stay refused, and are not read again.
    """
    refused = dict(source.nameless)
    pairs = session.summary.pairs
    still_refused: list[RawFile] = []
    for pair, raws in source.files.items():
        refused_before = set(pairs[str(pair)].unassigned) if pair not in assigned and str(pair) in pairs else set()
        errors = assigned[pair].errors if pair in assigned else {}
        refused |= {raw: errors[raw.source] for raw in raws if raw.source in errors}
        still_refused += [raw for raw in raws if raw.source in refused_before]
    if not refused and not still_refused and session.summary.unassigned == Unassigned() and session.summary.version:
        return Unassigned()
    unassigned = tuple(sorted([*refused, *still_refused], key=lambda raw: raw.source))
    paths = frozenset(raw.source for raw in unassigned)
    task = UnassignedTask(
        lake=session.lake_of(None),
        source=source.store,
        files=unassigned,
        errors={raw.source: error for raw, error in refused.items()},
        assigned=frozenset(raw.source for raws in source.files.values() for raw in raws) - paths,
        prune=session.prunes_all,
        is_partial=bool(session.only),
    )
    (summary,) = session.map(refuse_unassigned, [task], [0.0], lambda _: str(task))
    return summary


def summarise_ingest(
    session: Session,
    source: Source,
    assigned: Mapping[PairName, Assigned],
    results: Iterable[IngestResult],
    unassigned: Unassigned,
) -> Summary:
    """Return the summary of the lake as it is once the results of the ingest are published."""
    summary = session.summary
    symbols: dict[str, dict[str, SymbolSummary]] = {}
    for result in results:
        symbols.setdefault(result.series, {})[result.symbol] = summarise_symbol(result)
    shown = list_shown(session, assigned, results)
    source_name = name_source(source.store)
    pairs = {
        str(pair): Pair(
            fingerprint=source.fingerprint(source.files[pair]),
            newest_file_ms=max((round(raw.modified_at.timestamp() * 1000) for raw in source.files[pair]), default=0),
            unassigned=sorted(of_pair.errors),
            source=source_name,
            habits=[hash_habit(habit) for habit in of_pair.habits],
            borrowed=[hash_habit(habit) for habit in of_pair.borrowed],
            waits=sorted(of_pair.waits),
            local=shown[pair],
        )
        for pair, of_pair in assigned.items()
    }
    nameless = sorted(source.nameless, key=lambda raw: raw.source)
    if nameless or str(NO_PAIR) in summary.pairs:
        pairs[str(NO_PAIR)] = Pair(source.fingerprint(nameless))
    return replace(
        source.belonging.settle(session).remember(summary),
        series=put_symbols(summary.series, symbols),
        pairs=dict(sorted((summary.pairs | pairs).items())),
        unassigned=unassigned,
        archives=source.archives,
        mixed={path: mixed for path, mixed in sorted(source.mixed.known.items()) if path in source.mixed.files},
        code=source.code,
        habits=collect_habits(summary.habits, summary.pairs | pairs, assigned.values()),
    )


def summarise_symbol(result: IngestResult) -> SymbolSummary:
    """Return the summary of a symbol after its ingest."""
    return SymbolSummary(
        is_whole=True,
        candles=result.candles,
        first_day=result.first_day,
        newest_ms=result.newest_ms,
        years=result.years,
        problems=result.problems,
        gone=result.gone,
        held_back=result.held_back,
    )
