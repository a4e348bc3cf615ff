"""What a run would do, in order, and why: nothing is written and no lease is taken."""

import msgspec

from chandlery.config import Settings, parse_interval
from chandlery.estimates import forecast_seconds, raw_seconds
from chandlery.founding import make_rules, propose
from chandlery.grid import DAY_MS
from chandlery.lake import Lake, Series
from chandlery.progress import Silent
from chandlery.resuming import forecast_base, list_gone, read_checkpoints
from chandlery.session import Options, Session
from chandlery.state.fingerprints import fingerprint
from chandlery.state.paths import day_name
from chandlery.state.records import FileRecord, candles_fingerprint, gaps_fingerprint, read_ingested
from chandlery.survey import Source, survey_source
from chandlery.tasks.ingest import UNKNOWN
from chandlery.tasks.reading import find_reading, is_current

__all__ = ["Plan", "Step", "plan"]

FORGOTTEN = "state is missing, damaged or of another version"


class Step(msgspec.Struct, frozen=True):
    """One step that a run would take."""

    stage: str
    symbol: str
    what: str
    why: str
    cost: str


class Plan(msgspec.Struct, frozen=True):
    """What a run would do, in order; empty where everything is up to date."""

    steps: list[Step]
    exit_code: int = 0


def plan(settings: Settings, options: Options | None = None) -> Plan:
    """Return what a run would do and why; nothing is written and no lease is taken.

    Args:
        settings: From `load_settings`.
        options: Those of the run.

    Raises:
        SettingsError: A setting, a bucket or a right is missing, or a setting differs from the lake's.
        StoreUnavailableError: A store did not answer.
    """
    session = Session(settings, options or Options(), Silent())
    source = survey_source(session)
    steps, changes = [], {}
    for symbol in source.pending():
        step, first_ms = _plan_ingest(session, source, symbol)
        steps.append(step)
        if symbol != UNKNOWN:
            changes[symbol] = first_ms
    if steps or session.summary.gaps != gaps_fingerprint(session.summary):
        steps.append(Step("gaps", "all", "classify gaps again", "candles may change", f"about {0.3 * len(source.files):.1f} CPU-s"))
    return Plan(steps + _plan_forecast(session, source, changes) + _plan_pruning(session, source))


def _plan_pruning(session: Session, source: Source) -> list[Step]:
    """Return which forecasts would be taken away: of symbols that have no candles already."""
    if not session.options.prune or not (gone := list_gone(session, source.years)):
        return []
    return [Step("forecast", symbol, "delete its forecasts", "no candles of it, and --prune", "") for symbol in gone]


def _plan_ingest(session: Session, source: Source, symbol: str) -> tuple[Step, int]:
    """Return what ingest would do with a symbol, and the earliest time in its new and changed files."""
    file = session.lake_file
    held = None if file is None else read_ingested(Lake(session.store, file), symbol)
    known = {record.source: record for record in held.files} if held else {}
    files = source.files[symbol]
    code = fingerprint(source.code)
    fresh = [raw for raw in files if not is_current(known.get(raw.source), raw, code)]
    if session.options.restate:
        reading = session.settings.source.reading
        fresh += [raw for raw in files if raw not in fresh and known[raw.source].reading != find_reading(reading, raw.source)]
    if not known:
        why = FORGOTTEN if symbol in source.years else "new symbol"
    elif fresh:
        why = "new or changed files"
    elif source.has_lost(symbol):
        why, fresh = "objects are missing from the table candles", list(files)
    else:
        why = "files are gone, or settings, code or libraries changed"
    megabytes = sum(raw.size_bytes for raw in fresh) / 1e6
    cost = f"{megabytes:,.1f} MB, about {raw_seconds(round(megabytes * 1e6)):.1f} CPU-s"
    seen = [peek.first_ms for raw in fresh if (peek := source.look(raw)) and peek.first_ms is not None]
    return Step("ingest", symbol, f"read {len(fresh)} of {len(files)} files", why, cost), _find_first(
        known, [raw.source for raw in fresh], seen
    )


def _find_first(known: dict[str, FileRecord], fresh: list[str], seen: list[int]) -> int:
    """Return the earliest time that changes, from the first rows of new files and the known times of changed ones."""
    times = {source: record.first_ms for source, record in known.items() if record.first_ms is not None}
    return min(seen + [times[source] for source in fresh if source in times] or times.values(), default=0)


def _plan_forecast(session: Session, source: Source, changes: dict[str, int]) -> list[Step]:
    """Return what the forecast stage would do.

    Args:
        session: The run.
        source: Its files.
        changes: The time (ms) from which the candles of each symbol change.
    """
    file, summary, interval = session.lake_file, session.summary, source.interval
    if parse_interval(interval) % 60:
        return []
    if file is None:
        cost = forecast_seconds(propose(session.settings, interval).file, 1e6)
        what = f"compute the whole past at {interval}"
        return [
            Step(
                "forecast", "all", what, "the lake is new", f"grows with the candles: about {cost:.0f} CPU-s a million"
            )
        ]
    base = forecast_base(session, make_rules(file, sorted(source.years)))
    if not changes and (summary.forecast, summary.base) == (candles_fingerprint(summary), base):
        return []
    spans = {
        name: (held.first_day, held.newest_ms) for name, held in summary.symbols.items() if held.first_day is not None
    }
    if not spans:
        why = FORGOTTEN if source.years else "no candles yet"
        return [Step("forecast", "all", "compute the whole past", why, "grows with the candles")]
    return [_plan_span(session, file, base, spans, changes)]


def _plan_span(
    session: Session, file: Series, base: str, spans: dict[str, tuple[int, int]], changes: dict[str, int]
) -> Step:
    """Return from which day on forecasts would be computed: from the newest checkpoint before every change."""
    summary, lead = session.summary, make_rules(file, []).lead
    newest = max(newest_ms for _, newest_ms in spans.values())
    earliest = min(changes.values(), default=newest) // DAY_MS
    held = read_checkpoints(summary) if summary.base == base else {}
    since = max((day for day in held if day + lead <= earliest), default=None)
    days = sum(newest_ms // DAY_MS - max(since or first_day, first_day) for first_day, newest_ms in spans.values())
    is_append = since is not None and all(
        name in spans and first_ms >= spans[name][1] for name, first_ms in changes.items()
    )
    why = (
        "newer rows: an append"
        if is_append
        else "older rows, a file written again or gone, a new symbol, settings, code or libraries changed: a restatement at most"
    )
    what = "compute the whole past" if since is None else f"compute from {day_name(since)} on, at least"
    seconds = forecast_seconds(file, days * 86_400 / parse_interval(file.interval))
    return Step("forecast", "all", what, why, f"{days:,} days of candles, about {seconds:.1f} CPU-s")
