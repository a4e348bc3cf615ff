"""The plan of a run: what it would do, in order, why, and at what cost. Nothing is written, and no lease is taken."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from chandlery.errors import SourceError
from chandlery.grid import DAY_MS, DAY_SECONDS
from chandlery.lake.extents import measure_table
from chandlery.lake.lake_file import Series
from chandlery.lake.staging import STAGING
from chandlery.progress import Silent
from chandlery.runs.additions import Computation, describe_added, plan_computations
from chandlery.runs.assuming import recognise_some
from chandlery.runs.belonging import PairName
from chandlery.runs.estimates import describe_seconds, forecast_seconds, raw_seconds
from chandlery.runs.founding import join_minutes, make_rules
from chandlery.runs.ingesting import choose_series, split_files
from chandlery.runs.inspection import Group, inspect
from chandlery.runs.leftovers import list_without_candles
from chandlery.runs.resuming import forecast_base, read_checkpoints
from chandlery.runs.run_report import Options
from chandlery.runs.session import SeriesRun, Session
from chandlery.runs.survey import Source, survey_source
from chandlery.runs.unmatched import list_paths, name_unmatched_layouts, name_unmatched_sections
from chandlery.settings.model import EngineSettings, Settings
from chandlery.settings.origins import Origins
from chandlery.sources.files import RawFile, peek_file
from chandlery.state.fingerprints import fingerprint
from chandlery.state.paths import day_name
from chandlery.state.records import FileRecord, candles_fingerprint, gaps_fingerprint, read_ingested
from chandlery.tasks.past import hash_reading, is_current
from chandlery.tasks.recognise import Assigned

__all__ = ["Plan", "Step", "plan"]

STATE_LOST = "state is missing, damaged, of another version or older than the tables"
IDLE = "other files of it, or settings of [source], changed: its candles stay"
NEVER_FORECAST = "never forecast: the whole past"
MOST_PEEKED = 50  # files of a symbol whose first rows tell from when on its candles change
RESTATEMENT = (
    "older rows, a file written again or gone, a new symbol, settings, code or libraries changed: a restatement at most"
)


class Step(msgspec.Struct, frozen=True):
    """One step that a run would take.

    Args:
        stage: Name of the stage or step.
        symbol: The symbol, or several, or `all`.
        what: What would be done.
        why: The reason.
        cost: A rough estimate; empty if it is negligible or unknown.
        series: Name of the series; empty for a step that concerns all.
    """

    stage: str
    symbol: str
    what: str
    why: str
    cost: str
    series: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What a run would do.

    Args:
        steps: The steps, in order; empty if everything is up to date.
        notes: Other messages, such as about parts of the settings that match nothing.
        groups: How new files would be read.
        settings_from: Where the settings came from.
    """

    steps: list[Step]
    notes: list[str] = []
    groups: list[Group] = []
    settings_from: Origins = Origins()


def plan(settings: Settings, options: Options | None = None) -> Plan:
    """Return what a run would do and why; nothing is written and no lease is taken.

    Args:
        settings: From `load_settings`.
        options: The options of the run.

    Raises:
        SettingsError: A setting, a bucket or a right is missing, or a setting differs from the lake's.
        StoreUnavailableError: A store did not answer.
    """
    here = settings.model_copy(update={"engine": EngineSettings(name="local", workers=1)})
    session = Session(here, options or Options(), Silent())
    source = survey_source(session)
    assigned, unread = recognise_some(session, source)
    steps, changes = _plan_reading(session, source, assigned)
    for name, run in session.series.items():
        if name in changes or run.summary.gaps != gaps_fingerprint(run.summary):
            cost = describe_seconds(0.3 * len(run.summary.symbols))
            steps.append(Step("gaps", "all", "classify gaps again", "candles may change", cost, name))
    new = [founded.series for founded in session.propose_new(choose_series(assigned))]
    for series in new:
        steps.append(Step("gaps", "all", "classify gaps", "the series is new", "", series.name))
        steps += [_plan_new(series)] if session.is_chosen(series.name) else []
    for run in session.chosen:
        steps += _plan_forecast(run, source, changes.get(run.name, {})) + _plan_pruning(run, source)
    known = [*session.series, *(series.name for series in new)]
    notes = name_unmatched_layouts(settings.source, list_paths(source)) + name_unmatched_sections(settings, known)
    if unread:
        notes.append(f"{unread:,} new files were not looked at: the steps assume that they are like the others")
    return Plan(_plan_settling(session) + steps, notes, inspect(source, assigned), settings.origins)


def _plan_settling(session: Session) -> list[Step]:
    """Return the step that settles the publication of a killed run."""
    if not session.store.list(STAGING):
        return []
    what = "finish the publication of a killed run if it has a manifest, and delete staged objects"
    return [Step("publish", "all", what, f"there are objects under {STAGING}", "")]


def _plan_reading(
    session: Session, source: Source, assigned: Mapping[PairName, Assigned]
) -> tuple[list[Step], dict[str, dict[str, int]]]:
    """Return the steps of the ingest, and the time (ms) from which candles change, by series and symbol."""
    steps: list[Step] = []
    changes: dict[str, dict[str, int]] = {}
    for pair, of_pair in assigned.items():
        for name, files in split_files(source, pair, of_pair).items():
            step, first_ms = _plan_ingest(session, source, (name, pair.symbol), files)
            steps.append(step)
            if first_ms is not None:
                changes.setdefault(name, {})[pair.symbol] = first_ms
        steps += _plan_refusals(pair.symbol, of_pair.errors.values())
    if source.nameless and source.is_nameless_new:
        steps += _plan_refusals("", source.nameless.values())
    return _join_idle(steps), changes


def _plan_refusals(symbol: str, errors: Iterable[SourceError]) -> list[Step]:
    """Return a step for each reason for which files are refused: what is open, or that they cannot be read."""
    reasons = Counter(getattr(error, "decision", "") for error in errors)
    return [
        Step(
            "ingest",
            symbol,
            f"refuse {count} file{'s' if count > 1 else ''}",
            f"their {reason} is open" if reason else "they cannot be read as candles",
            "",
        )
        for reason, count in sorted(reasons.items())
    ]


def _plan_new(series: Series) -> Step:
    """Return the step of the forecast stage for a series that the lake does not have yet."""
    cost = f"grows with the candles: {describe_seconds(forecast_seconds(series, 1e6))} a million"
    return Step("forecast", "all", _describe_whole(series), "the series is new", cost, series.name)


def _describe_whole(series: Series) -> str:
    """Describe what is computed for a series that has no forecasts."""
    horizons, models = join_minutes(series.horizons), ", ".join(series.models)
    return f"compute the whole past of {series.name}: horizons {horizons}; models {models}"


def _plan_pruning(run: SeriesRun, source: Source) -> list[Step]:
    """Return the steps that delete forecasts of symbols without candles."""
    pruned = [symbol for symbol in list_without_candles(run, source.years.get(run.name, {})) if run.prunes(symbol)]
    why = "no candles of it, and --prune"
    return [Step("forecast", symbol, "delete its forecasts", why, "", run.name) for symbol in pruned]


def _plan_ingest(
    session: Session, source: Source, place: tuple[str, str], files: list[RawFile]
) -> tuple[Step, int | None]:
    """Return the step that ingests a symbol of a series, and the time from which its candles may change.

    Args:
        session: The run.
        source: Its files.
        place: Name of the series, and the symbol.
        files: The files of the symbol that belong to the series.

    Returns:
        The step, and the earliest time (ms) in new and changed files; None if no candle changes.
    """
    name, symbol = place
    run = session.series.get(name)
    ingested = None if run is None else read_ingested(run.lake, symbol)
    known = {record.source: record for record in ingested.files} if ingested else {}
    fresh = _list_fresh(session, source, known, files)
    gone = sorted(known.keys() - {raw.source for raw in files})
    removed = [] if run is None else _list_removed(run, source, symbol, gone)
    why, may_change = "", True
    if run is None or not known:
        why = STATE_LOST if symbol in source.years.get(name, {}) else "new symbol"
    elif fresh:
        why = "new or changed files"
    elif source.has_lost(run, symbol):
        why, fresh = "objects are missing from the table candles", list(files)
    elif removed:
        why = f"the candles of {_count_files(len(removed))} are removed"
    elif symbol not in run.summary.symbols:
        why = STATE_LOST
    elif not run.summary.symbols[symbol].is_whole:
        why = "its last ingest was interrupted"
    else:
        why, may_change = f"{_count_files(len(gone))} gone: its candles stay" if gone else IDLE, False
    megabytes = sum(raw.size_bytes for raw in fresh) / 1e6
    cost = f"{megabytes:,.1f} MB, {describe_seconds(raw_seconds(round(megabytes * 1e6)))}"
    step = Step("ingest", symbol, f"read {len(fresh)} of {len(files)} files", why, cost, name)
    if not may_change or run is None:
        return step, None
    return step, _find_first(known, [*removed, *(raw.source for raw in fresh)], _peek_first(session, source, fresh))


def _count_files(count: int) -> str:
    """Return a number with the word file or files."""
    return f"{count:,} file{'' if count == 1 else 's'}"


def _list_removed(run: SeriesRun, source: Source, symbol: str, gone: list[str]) -> list[str]:
    """Return the files that a symbol of a series no longer has and whose candles the run would remove.

    With --prune these are files that are missing from the source, with --restate files that belong to another series.
    """
    present = {raw.source for pair, files in source.files.items() if pair.symbol == symbol for raw in files}
    is_restated, is_pruned = run.session.options.restate, run.prunes(symbol)
    return [name for name in gone if (is_restated if name in present else is_pruned)]


def _join_idle(steps: list[Step]) -> list[Step]:
    """Join the steps of each series that neither read a file nor change a candle."""
    idle: dict[str, list[str]] = {}
    for step in steps:
        if step.why == IDLE:
            idle.setdefault(step.series, []).append(step.symbol)
    joined = []
    for step in steps:
        if step.why != IDLE:
            joined.append(step)
        elif symbols := idle.pop(step.series, []):
            joined.append(replace(step, symbol=", ".join(symbols), what="read no file", cost=""))
    return joined


def _list_fresh(
    session: Session, source: Source, known: Mapping[str, FileRecord], files: list[RawFile]
) -> list[RawFile]:
    """Return the files that would be read: new and changed ones, and refused ones if their settings changed.

    With --restate, also all refused ones, and those that were read under other settings.
    """
    code, reading, is_restated = fingerprint(source.code), session.settings.source.reading, session.options.restate

    def has_to_be_read(raw: RawFile) -> bool:
        record = known.get(raw.source)
        if record is None or not is_current(record, raw, code):
            return True
        is_refused = record.problem is not None
        if is_refused and is_restated:
            return True
        return (is_refused or is_restated) and record.reading != hash_reading(reading, raw.source)

    return [raw for raw in files if has_to_be_read(raw)]


def _peek_first(session: Session, source: Source, files: list[RawFile]) -> list[int]:
    """Return the earliest time (ms) in the first rows of each file that can be read; of many files, of some."""

    def peek(raw: RawFile) -> int | None:
        with suppress(SourceError, FileNotFoundError), source.store.open(raw.path, raw.size_bytes) as stream:
            times = peek_file(stream, raw, session.settings.source.reading).times
            return int(times.min()) if times.size else None
        return None

    some = files[:: -(-len(files) // MOST_PEEKED) or 1]
    return [first_ms for first_ms in source.store.ask_ahead(peek, some) if first_ms is not None]


def _find_first(known: Mapping[str, FileRecord], changed: list[str], peeked: list[int]) -> int:
    """Return the earliest time (ms) that changes.

    Args:
        known: The files of the last ingest, by source.
        changed: The files that are read or removed.
        peeked: The earliest times of those that are read.
    """
    times = {source: record.first_ms for source, record in known.items() if record.first_ms is not None}
    return min(peeked + [times[source] for source in changed if source in times] or times.values(), default=0)


def _plan_forecast(run: SeriesRun, source: Source, changes: dict[str, int]) -> list[Step]:
    """Return the steps of the forecast stage for a series.

    Args:
        run: The series.
        source: The files.
        changes: The time (ms) from which the candles of each symbol change.
    """
    summary, years = run.summary, source.years.get(run.name, {})
    rules = make_rules(run.series, sorted(years))
    base = forecast_base(run, rules)
    if not changes and (summary.forecast, summary.base) == (candles_fingerprint(summary), base):
        return []
    spans = {
        name: (each.first_day, each.newest_ms) for name, each in summary.symbols.items() if each.first_day is not None
    }
    if not spans:
        why = STATE_LOST if years else "no candles yet"
        cost = _estimate_whole(run) if years else "grows with the candles"
        return [Step("forecast", "all", "compute the whole past", why, cost, run.name)]
    return [_plan_computation(run, each, spans, changes) for each in plan_computations(run, rules)]


def _plan_computation(
    run: SeriesRun, computation: Computation, spans: dict[str, tuple[int, int]], changes: dict[str, int]
) -> Step:
    """Return the step of one computation of the forecast stage."""
    added, rules = computation.added, computation.rules
    if added is None:
        return _plan_span(run, forecast_base(run, rules), spans, changes)
    days = sum(newest_ms // DAY_MS - first_day for first_day, newest_ms in spans.values())
    part = replace(run.series, horizons=list(added.horizons), models=list(added.models))
    seconds = forecast_seconds(part, days * DAY_SECONDS / run.series.grid.seconds)
    what, _, why = describe_added(added, rules).partition(": ")
    return Step("forecast", "all", what, why, f"{days:,} days of candles, {describe_seconds(seconds)}", run.name)


def _estimate_whole(run: SeriesRun) -> str:
    """Describe the cost of computing all forecasts of a series without state, as after a migration."""
    candles = measure_table(run.session.store, "candles", run.series.keys).rows
    return f"{candles:,} candles, {describe_seconds(forecast_seconds(run.series, candles))}"


def _plan_span(run: SeriesRun, base: str, spans: dict[str, tuple[int, int]], changes: dict[str, int]) -> Step:
    """Return the step that computes forecasts from the newest checkpoint before all changes."""
    summary, lead = run.summary, make_rules(run.series, []).lead
    newest = max(newest_ms for _, newest_ms in spans.values())
    earliest = min(changes.values(), default=newest) // DAY_MS
    checkpoints = read_checkpoints(summary) if summary.base == base else {}
    since = max((day for day in checkpoints if day + lead <= earliest), default=None)
    days = sum(newest_ms // DAY_MS - max(since or first_day, first_day) for first_day, newest_ms in spans.values())
    is_append = since is not None and all(
        name in spans and first_ms >= spans[name][1] for name, first_ms in changes.items()
    )
    is_new = since is None and not summary.base and not run.list_forecasts()
    why = "newer rows: an append" if is_append else NEVER_FORECAST if is_new else RESTATEMENT
    what = f"compute from {day_name(since)} on, at least" if since is not None else "compute the whole past"
    what = _describe_whole(run.series) if is_new else what
    seconds = forecast_seconds(run.series, days * DAY_SECONDS / run.series.grid.seconds)
    return Step("forecast", "all", what, why, f"{days:,} days of candles, {describe_seconds(seconds)}", run.name)
