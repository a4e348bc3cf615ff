"""The ingest of a run: which series the new files belong to, then a task a series and symbol."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import msgspec
from msgspec.structs import replace

from chandlery.grid import Grid
from chandlery.lake.lake_file import UNNAMED
from chandlery.runs.belonging import NO_PAIR, PairName, name_source
from chandlery.runs.estimates import raw_seconds
from chandlery.runs.references import choose_references
from chandlery.runs.session import Session, name_series
from chandlery.runs.survey import Source
from chandlery.sources.files import RawFile
from chandlery.state.fingerprints import describe_changes, fingerprint
from chandlery.state.paths import SUMMARY
from chandlery.state.records import Pair, SeriesSummary, Summary, SymbolSummary, Unassigned
from chandlery.tasks.ingest import IngestResult, IngestTask, ingest_symbol
from chandlery.tasks.recognise import Assigned, RecogniseTask, recognise_files
from chandlery.tasks.unassigned import UnassignedTask, refuse_unassigned

__all__ = ["choose_series", "ingest_files", "make_recognise_task", "report_refusals", "split_files", "tell_of_ingest"]


def ingest_files(session: Session, source: Source) -> tuple[Summary, list[IngestResult]]:
    """Read the new and changed files of all pairs, and stage candles, rejects and ledger.

    Args:
        session: The run, which holds the lease.
        source: Its files.

    Returns:
        The summary to keep once all of it is published, and what became of each symbol of a series.
    """
    pending = source.pending()
    tell_of_reading(session, source, pending)
    assigned = recognise(session, source, pending)
    found_series(session, assigned)
    tasks = [task for pair in pending for task in make_tasks(session, source, pair, assigned[pair])]
    mark_begun(session, source, pending)
    with session.stage("ingest", len(source.files), len(pending)):
        costs = [raw_seconds(source.fresh_bytes(PairName(task.lake.series.exchange, task.symbol))) for task in tasks]
        done = session.map(ingest_symbol, tasks, costs, lambda result: result.symbol)
        refused = refuse_others(session, source, assigned)
    return complete(session, source, assigned, done, refused), done


def tell_of_ingest(session: Session, done: Sequence[IngestResult]) -> None:
    """Report what came of the ingest, once all of it is published."""
    tell_of_results(session, done)
    tell_of_references(session)
    report_refusals(session)


def make_recognise_task(session: Session, source: Source, pair: PairName) -> RecogniseTask:
    """Return the task that finds the series of a pair's files."""
    return RecogniseTask(
        name=str(pair),
        symbol=pair.symbol,
        lakes=tuple(run.lake for run in source.runs_of(pair)),
        source=source.store,
        settings=session.settings.source.reading,
        files=source.files[pair],
        code=fingerprint(source.code),
        restate=session.options.restate,
    )


def recognise(session: Session, source: Source, pending: Sequence[PairName]) -> dict[PairName, Assigned]:
    """Return where the files of each pair belong."""
    present = [pair for pair in pending if source.files[pair]]
    tasks = [make_recognise_task(session, source, pair) for pair in present]
    with session.stage("recognise", len(source.files), len(tasks)):
        found = session.map(recognise_files, tasks, [0.01] * len(tasks), lambda assigned: assigned.name)
    nothing = {pair: Assigned(str(pair), {}, {}) for pair in pending}
    return nothing | dict(zip(present, found, strict=True))


def choose_series(assigned: Mapping[PairName, Assigned]) -> dict[tuple[str, int], tuple[Grid, set[str]]]:
    """Return the grid and the symbols of each series that files belong to, by exchange and interval.

    Of several grids with the same interval, it is that of most of the files.
    """
    votes: dict[tuple[str, int], Counter[int]] = {}
    symbols: dict[tuple[str, int], set[str]] = {}
    for pair, found in assigned.items():
        for grid in found.grids.values():
            votes.setdefault((pair.exchange, grid.seconds), Counter())[grid.offset] += 1
            symbols.setdefault((pair.exchange, grid.seconds), set()).add(pair.symbol)
    return {
        key: (Grid(key[1], min(offsets, key=lambda offset: (-offsets[offset], offset))), symbols[key])
        for key, offsets in votes.items()
    }


def found_series(session: Session, assigned: Mapping[PairName, Assigned]) -> None:
    """Add the series that the lake does not have yet."""
    before = {run.series.exchange for run in session.series.values()}
    session.found(choose_series(assigned))
    now = {run.series.exchange for run in session.series.values()}
    if UNNAMED in now - before:
        found = f"nothing names the exchange of the files: their candles stand under exchange={UNNAMED}"
        session.tell(
            f"{found}. Hint: `chandlery migrate --exchange NAME` gives them a name later, and computes nothing"
        )


def split_files(source: Source, pair: PairName, assigned: Assigned) -> dict[str, list[RawFile]]:
    """Return the files of a pair by series; also those series whose files of it are all gone."""
    found: dict[str, list[RawFile]] = {run.name: [] for run in source.runs_of(pair)}
    for raw in source.files[pair]:
        if grid := assigned.grids.get(raw.source):
            found.setdefault(name_series(pair.exchange, grid.seconds), []).append(raw)
    return found


def make_tasks(session: Session, source: Source, pair: PairName, assigned: Assigned) -> list[IngestTask]:
    """Return the tasks of a pair, one a series."""
    options, parts = session.options, split_files(source, pair, assigned)
    refused = frozenset([*assigned.errors, *(raw.source for raw in source.nameless)])
    tasks = []
    for name, files in parts.items():
        run = session.series[name]
        held = run.summary.symbols.get(pair.symbol)
        others = (raw.source for other, raws in parts.items() if other != name for raw in raws)
        task = IngestTask(
            lake=run.lake,
            source=source.store,
            settings=session.settings.source.reading,
            symbol=pair.symbol,
            files=tuple(files),
            code=fingerprint(source.code),
            prune=run.prunes(pair.symbol),
            restate=options.restate,
            reread=source.has_lost(run, pair.symbol),
            unfinished=held is not None and not held.is_whole,
            unassigned=refused if options.prune else frozenset(),
            moved=frozenset(others if options.restate else ()) | source.belonging.left.get(pair, frozenset()),
        )
        tasks.append(task)
    return tasks


def mark_begun(session: Session, source: Source, pending: Sequence[PairName]) -> None:
    """Store that the ingest of these pairs has begun: if it is killed, they are not up to date whatever their files."""
    summary = session.summary
    pairs = {
        str(pair): replace(summary.pairs[str(pair)], fingerprint="") for pair in pending if str(pair) in summary.pairs
    }
    begun: dict[str, dict[str, SymbolSummary]] = {}
    for pair in pending:
        for run in source.runs_of(pair):
            if held := run.summary.symbols.get(pair.symbol):
                begun.setdefault(run.name, {})[pair.symbol] = replace(held, is_whole=False)
    if pairs or begun:
        series = put_symbols(summary.series, begun)
        session.keep(replace(summary, pairs=summary.pairs | pairs, series=series))


def put_symbols(
    series: Mapping[str, SeriesSummary], found: Mapping[str, Mapping[str, SymbolSummary]]
) -> dict[str, SeriesSummary]:
    """Return the summaries of all series with those of some symbols, by series, replaced or added."""
    put = {}
    for name, symbols in found.items():
        held = series.get(name, SeriesSummary())
        put[name] = replace(held, symbols=dict(sorted({**held.symbols, **symbols}.items())))
    return {**series, **put}


def refuse_others(session: Session, source: Source, assigned: Mapping[PairName, Assigned]) -> Unassigned:
    """Bring the ledger of files without a series up to date; return what the driver needs to know of it."""
    files = dict(source.nameless)
    held = session.summary.pairs
    waiting: list[RawFile] = []
    for pair, raws in source.files.items():
        known = set(held[str(pair)].unassigned) if pair not in assigned and str(pair) in held else set()
        errors = assigned[pair].errors if pair in assigned else {}
        files |= {raw: errors[raw.source] for raw in raws if raw.source in errors}
        waiting += [raw for raw in raws if raw.source in known]
    if not files and not waiting and session.summary.unassigned == Unassigned() and session.summary.version:
        return Unassigned()
    unassigned = tuple(sorted([*files, *waiting], key=lambda raw: raw.source))
    names = frozenset(raw.source for raw in unassigned)
    task = UnassignedTask(
        lake=session.lake_of(None),
        source=source.store,
        files=unassigned,
        errors={raw.source: error for raw, error in files.items()},
        assigned=frozenset(raw.source for raws in source.files.values() for raw in raws) - names,
        prune=session.prunes_all,
        is_partial=bool(session.only),
    )
    (found,) = session.map(refuse_unassigned, [task], [0.0], lambda _: str(task))
    return found


def complete(
    session: Session,
    source: Source,
    assigned: Mapping[PairName, Assigned],
    done: Iterable[IngestResult],
    refused: Unassigned,
) -> Summary:
    """Return the summary with what the driver needs to know of the files and candles."""
    summary = session.summary
    found: dict[str, dict[str, SymbolSummary]] = {}
    for result in done:
        found.setdefault(result.series, {})[result.symbol] = summarise(result)
    here = name_source(source.store)
    pairs = {
        str(pair): Pair(
            fingerprint=source.fingerprint(source.files[pair]),
            newest_file_ms=max((round(raw.modified_at.timestamp() * 1000) for raw in source.files[pair]), default=0),
            unassigned=sorted(each.errors),
            source=here,
        )
        for pair, each in assigned.items()
    }
    nameless = sorted(source.nameless, key=lambda raw: raw.source)
    if nameless or str(NO_PAIR) in summary.pairs:
        pairs[str(NO_PAIR)] = Pair(source.fingerprint(nameless))
    return replace(
        source.belonging.settle(session).remember(summary),
        series=put_symbols(summary.series, found),
        pairs=dict(sorted((summary.pairs | pairs).items())),
        unassigned=refused,
        archives=source.archives,
        code=source.code,
    )


def summarise(found: IngestResult) -> SymbolSummary:
    """Return the summary of a symbol after its ingest."""
    return SymbolSummary(
        is_whole=True,
        candles=found.candles,
        first_day=found.first_day,
        newest_ms=found.newest_ms,
        years=found.years,
        problems=found.problems,
        gone=found.gone,
        held_back=found.held_back,
    )


def tell_of_reading(session: Session, source: Source, pending: Sequence[PairName]) -> None:
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


def tell_of_results(session: Session, done: Sequence[IngestResult]) -> None:
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


def tell_of_references(session: Session) -> None:
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
