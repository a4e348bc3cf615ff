"""The order of things, readable top to bottom.

    raw files ─► ingest: a task a symbol ─► candles, rejects, ledger ─► gaps
    candles ─► market ─► gather, with the leak gate: a task a symbol ─► fit: a task a model or a year
            ─► forecast: a task a symbol ─► scores

Each stage first asks whether what it rests on has changed, by fingerprint; where it has not, nothing is done.
"""

from collections.abc import Callable
from itertools import chain

import msgspec
import polars as pl
from msgspec.structs import replace

from chandlery.catalog import register_partitions
from chandlery.checkpoints import Past, Span, checkpoint_fingerprint, day_name, fingerprint, lead_days
from chandlery.config import Settings, parse_interval, parse_minutes
from chandlery.errors import ChandleryError, SettingsError
from chandlery.features import plan_features
from chandlery.lake import LakeFile
from chandlery.models import BUILT_IN, model_names
from chandlery.progress import Silent, Watch
from chandlery.records import Summary, drop_checkpoint, is_whole, read_checkpoints, read_record, read_summary, write_checkpoint, write_needs, write_summary
from chandlery.schema import TABLES
from chandlery.session import Options, RunReport, Session, Stage, propose
from chandlery.survey import forecast_base, market_references, plan_span, read_pasts, refusals, survey_source
from chandlery.tables import list_partitions
from chandlery.tasks.artefacts import forget_artefacts, forget_later
from chandlery.tasks.fit import FitTask, fit_models, plan_fits
from chandlery.tasks.gaps import ActivityTask, GapsTask, find_symbol_gaps, measure_all
from chandlery.tasks.gather import gather_symbol
from chandlery.tasks.ingest import UNKNOWN, ingest_symbol
from chandlery.tasks.market import build_market, forget_market
from chandlery.tasks.predict import predict_symbol
from chandlery.tasks.score import ScoreTask, score_lake
from chandlery.tasks.work import SymbolTask, Work, is_before, months_between

__all__ = ["Options", "Plan", "RunReport", "Stage", "Step", "forecast", "ingest", "plan", "run"]

SECONDS_PER_MB = 0.02  # CPU, roughly, of a stage over raw text: whether processes are worth it
SECONDS_PER_DAY = 0.0015  # CPU, roughly, of a stage over a symbol's day of candles
SECONDS_PER_MILLION = (0.5, 1.0)  # CPU, roughly, of the forecast stage a million candles: once, and for each horizon
OF_A_MODEL = {"linear": (0.0, 1.0), "tree": (0.5, 1.5), "boosted": (14.0, 9.0)}  # likewise, for each model
OF_OWN = (0.0, 2.0)  # for one of somebody's own, of which nothing is known


def run(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring the lake up to date: ingest, then forecast.

    Args:
        settings: From `load_settings`.
        options: How to go about it.
        watch: Who is told; nobody where it is left out.

    Raises:
        SettingsError: A setting, a bucket or a right is missing.
        LawError: A law was broken; forecasts were not published.
        StoreUnavailableError: A store did not answer.
        LeaseHeldError: Another run holds the lake.
    """
    return _carry_out([_ingest, _forecast], settings, options, watch)


def ingest(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring candles, rejects, ledger and gaps up to date; takes and raises what `run` does."""
    return _carry_out([_ingest], settings, options, watch)


def forecast(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring forecasts, models and scores up to date with the candles; takes and raises what `run` does."""
    return _carry_out([_forecast], settings, options, watch)


class Step(msgspec.Struct, frozen=True):
    """Something that a run would do."""

    stage: str
    symbol: str
    what: str
    why: str
    cost: str


class Plan(msgspec.Struct, frozen=True):
    """What a run would do, in order; empty where everything is up to date."""

    steps: list[Step]
    exit_code: int = 0


def plan(settings: Settings) -> Plan:
    """Say what a run would do and why; nothing is written and no lease is taken.

    Raises:
        SettingsError: A setting, a bucket or a right is missing.
        StoreUnavailableError: A store did not answer.
    """
    session = Session(settings, Options(), Silent())
    source, file = survey_source(session), session.lake_file
    interval = source.interval
    steps = []
    for symbol, files in sorted(source.files.items()):
        known = read_record(session.store, symbol)
        now = source.fingerprint(symbol, file) if file is not None else ""
        if known is not None and known.fingerprint == now:
            continue
        fresh = source.fresh(symbol)
        why = "new symbol" if known is None else "new or changed files" if fresh else "settings or files changed"
        megabytes = sum(raw.size_bytes for raw in fresh) / 1e6
        steps.append(Step("ingest", symbol, f"read {len(fresh)} of {len(files)} files", why, f"{megabytes:,.1f} MB, about {megabytes * SECONDS_PER_MB:.1f} CPU-s"))
    if steps:
        steps.append(Step("gaps", "all", "type gaps anew", "candles may change", f"about {0.3 * len(source.files):.1f} CPU-s"))
    changes = {step.symbol: source.changes_from(step.symbol) for step in steps if step.stage == "ingest" and step.symbol != UNKNOWN and file is not None}
    return Plan(steps + _plan_forecast(session, interval, changes))


def _plan_forecast(session: Session, interval: str, changes: dict[str, int]) -> list[Step]:
    """Return what the forecast stage would do.

    Args:
        session: The run.
        interval: Of the lake.
        changes: From which moment on each symbol's candles change.
    """
    file, summary = session.lake_file, read_summary(session.store)
    if parse_interval(interval) % 60:
        return []
    if file is None:
        return [Step("forecast", "all", f"compute the whole past at {interval}", "the lake is new", f"grows with the candles: about {_cost_a_million(propose(session.settings, interval)):.0f} CPU-s a million")]
    base = forecast_base(session, file, market_references(session))
    if not changes and (summary.forecast, summary.base) == (summary.ingest, base):
        return []
    pasts = read_pasts(session.store, [symbol for symbol in summary.symbols if symbol != UNKNOWN])
    if not pasts:
        return [Step("forecast", "all", "compute the whole past", "no candles yet", "grows with the candles")]
    lead = lead_days(tuple(file.horizons))
    earliest = min(changes.values(), default=max(past.newest_ms for past in pasts.values())) // 86_400_000
    span = plan_span(base, pasts, file, {day: known for day, known in read_checkpoints(session.store).items() if day + lead <= earliest})
    days = sum(past.newest_ms // 86_400_000 - max(span.since, int(past.days[0])) for past in pasts.values())
    since = f"from {day_name(span.since)} on" if span.resumed else "the whole past"
    append = changes and all(symbol in pasts and first >= pasts[symbol].newest_ms for symbol, first in changes.items())
    why = "newer rows: an append" if append and span.resumed else "older rows, a new symbol, settings, code or libraries changed: a restatement"
    return [Step("forecast", "all", f"compute {since}, at least", why, f"{days:,} days of candles, about {days * 1440 / parse_minutes(interval) / 1e6 * _cost_a_million(file):.1f} CPU-s")]


def _cost_a_million(file: LakeFile) -> float:
    """Return the forecast stage's CPU seconds a million candles, roughly, for a lake's horizons and models."""
    costs = [SECONDS_PER_MILLION, *(OF_A_MODEL.get(name, OF_OWN) for name in file.models)]
    return sum(once + len(file.horizons) * each for once, each in costs)


def _carry_out(stages: list[Callable[[Session], None]], settings: Settings, options: Options | None, watch: Watch | None) -> RunReport:
    session = Session(settings, options or Options(), watch or Silent())
    if _ingest not in stages and session.lake_file is None:
        raise SettingsError(f"no lake at {session.store.uri}", "a lake with candles", "run `chandlery ingest` first, or check --lake")
    session.only = frozenset(settings.symbols if stages == [_ingest] else ())
    if _is_up_to_date(session, stages):
        stages = []
    if not stages:
        _register(session)
        return session.report
    with session.held():
        if file := session.lake_file:
            others = [name for name in model_names(settings.forecast.extensions) if name not in {*BUILT_IN, *file.models}]
            if others:
                session.tell(f"model {others[0]!r} is not among this lake's models, which were fixed by its first run. Hint: write to a new --lake to use it")
        try:
            for stage in (*stages, _register):
                stage(session)
        except ChandleryError as error:
            session.report.exit_code = error.exit_code
            session.report.messages.append(str(error))
            raise
        finally:
            session.write_record()
    return session.report


def _is_up_to_date(session: Session, stages: list[Callable[[Session], None]]) -> bool:
    """Return whether nothing has changed since the last whole run, from one listing and two small objects."""
    file, summary = session.lake_file, read_summary(session.store)
    source = survey_source(session) if _ingest in stages else None  # tells a missing source before anything is written
    if file is None:
        return False
    if source is not None:
        now = {symbol: source.fingerprint(symbol, file) for symbol in source.files}
        if any(summary.symbols.get(symbol) != found for symbol, found in now.items()):
            return False
    if summary.ingest != summary.gaps:
        return False
    if _forecast in stages and file.in_minutes and (summary.forecast, summary.base) != (summary.ingest, forecast_base(session, file, market_references(session))):
        return False
    for stage in stages:
        session.report.stages.append(Stage(stage.__name__.strip("_"), len(summary.symbols), 0, len(summary.symbols), 0.0))
    _report_refusals(session, summary)
    return True


def _report_refusals(session: Session, summary: Summary) -> None:
    for messages in summary.problems.values():
        for message in messages:
            session.refuse(3, message)


def _ingest(session: Session) -> None:
    source = survey_source(session)
    session.found_lake(source.interval)
    tasks = source.tasks(session.lake)
    with session.stage("ingest", len(source.files), len(tasks)):
        costs = [SECONDS_PER_MB * sum(raw.size_bytes for raw in source.fresh(task.symbol)) / 1e6 for task in tasks]
        done = session.map(ingest_symbol, tasks, costs, lambda result: result.symbol)
    session.report.published += sum(result.published for result in done)
    before = read_summary(session.store)
    symbols = before.symbols | {symbol: source.fingerprint(symbol, session.lake.file) for symbol in source.files}
    summary = replace(before, symbols=symbols, problems=refusals(session, list(symbols)), ingest=fingerprint(symbols))
    _report_refusals(session, summary)
    if summary.gaps != summary.ingest:
        _find_gaps(session, [symbol for symbol in sorted(symbols) if symbol != UNKNOWN])
    write_summary(session.store, replace(summary, gaps=summary.ingest))


def _find_gaps(session: Session, symbols: list[str]) -> None:
    with session.stage("gaps", len(symbols), len(symbols)):
        session.map(measure_all, [ActivityTask(session.lake, tuple(symbols))], [0.0], str)
        done = session.map(find_symbol_gaps, [GapsTask(session.lake, symbol) for symbol in symbols], [0.5] * len(symbols), lambda found: found[0])
    session.report.published += sum(changed for _, changed in done)


def _forecast(session: Session) -> None:
    file, summary = session.lake.file, read_summary(session.store)
    if not file.in_minutes:
        session.tell(f"no forecasts: candles of {file.interval} are only ingested. Hint: forecasts want candles of whole minutes")
        return
    references = market_references(session)
    base = forecast_base(session, file, references)
    pasts = read_pasts(session.store, [symbol for symbol in summary.symbols if symbol != UNKNOWN])
    _forget_gone(session, frozenset(pasts))
    if not pasts:
        return
    held = read_checkpoints(session.store)
    span = plan_span(base, pasts, file, held)
    while span.resumed and not is_whole(session.store, span.since):
        session.tell(f"what runs remember of {day_name(span.since)} is damaged or gone: going on from an earlier day")
        session.lake.guard()
        drop_checkpoint(session.store, span.since)
        del held[span.since]
        span = plan_span(base, pasts, file, held)
    for day in held:
        if day > span.since or not span.resumed:  # what they rest on is about to be written anew
            session.lake.guard()
            drop_checkpoint(session.store, day)
    work = _work(session, span, references)
    symbols = tuple(pasts)
    shown = [symbol for symbol in symbols if not session.settings.symbols or symbol in session.settings.symbols]
    if not shown:
        raise SettingsError(f"no candles of {', '.join(session.settings.symbols)}", f"one of {', '.join(symbols[:50])}", "check --symbol, or ingest its files")
    costs = {symbol: SECONDS_PER_DAY * (past.newest_ms // 86_400_000 - max(span.since, int(past.days[0]))) for symbol, past in pasts.items()}
    everybody = [SymbolTask(work, symbol) for symbol in symbols]
    with session.stage("market", len(work.references), min(1, len(work.references))):
        session.map(build_market, [work] if work.references else [], [0.0] if work.references else [], str)
    with session.stage("gather", len(symbols), len(symbols)):
        session.map(gather_symbol, everybody, list(costs.values()), lambda found: found.symbol)
    fits = _fit_tasks(session, work, pasts)
    if not fits and not span.resumed:
        session.tell(
            f"no forecasts yet: models are first fitted at the first month that begins after {session.settings.forecast.min_train} of history. Hint: add older candles, or lower [forecast] min_train"
        )
    with session.stage("fit", len(fits), len(fits)):
        made = session.map(fit_models, fits, [len(task.due) * 0.5 for task in fits], str)
        forget_artefacts(work, chain.from_iterable(made), symbols)
        forget_later(work)
    with session.stage("forecast", len(symbols), len(shown)):
        done = session.map(predict_symbol, [SymbolTask(work, symbol) for symbol in shown], [costs[symbol] for symbol in shown], lambda found: found.symbol)
    session.report.published += sum(found.published for found in done)
    with session.stage("scores", 1, 1):
        session.report.published += sum(session.map(score_lake, [ScoreTask(work, symbols)], [0.0], str))
    forget_market(work)
    if len(shown) == len(symbols):
        _remember(session, work, pasts, base)


def _register(session: Session) -> None:
    """Tell Glue, where settings name a database, of partitions that came or went; a run that has nothing else to do looks there too."""
    if database := session.settings.lake.catalog:
        with session.stage("catalog", len(TABLES), len(TABLES)):
            register_partitions(session.store, database)


def _forget_gone(session: Session, symbols: frozenset[str]) -> None:
    """Take away forecasts of symbols that have no candles any more; scores and models too where nothing is left."""
    lake, keys = session.lake, {"exchange": session.lake.file.exchange}
    for part in list_partitions(lake.store, "forecasts", keys):
        if part["symbol"] not in symbols:
            session.report.published += lake.write("forecasts", part, pl.DataFrame())
    if not symbols:
        session.report.published += sum(lake.write(table, keys, pl.DataFrame()) for table in ("scores", "models"))


def _work(session: Session, span: Span, references: tuple[str, ...]) -> Work:
    settings = session.settings.forecast
    lead = lead_days(tuple(session.lake.file.horizons))
    return Work(session.lake, span, lead, references, tuple(settings.extensions), settings.seed)


def _fit_tasks(session: Session, work: Work, pasts: dict[str, Past]) -> list[FitTask]:
    """Return what has to be fitted within the span."""
    settings = session.settings.forecast
    first = min(int(past.days[0]) for past in pasts.values()) + -(-parse_minutes(settings.min_train) // 1440)
    last = (work.span.stop_ms - 1) // 86_400_000  # a refit is made once there is a candle for it to forecast
    months = months_between(first, last)
    due = [month for month in months if not work.span.resumed or month > day_name(work.span.since)[:7]]
    names = plan_features("", work.lake.interval_minutes, work.references, work.extensions).names
    return plan_fits(work, due, months[0], tuple(pasts), names) if months else []


def _remember(session: Session, work: Work, pasts: dict[str, Past], base: str) -> None:
    """Make the checkpoints valid, drop the daily one before, and say that the forecasts are up to date."""
    minutes = work.lake.interval_minutes
    there = [entry.path for folder in ("state/gather/", "artefacts/", "forecasts/") for entry in session.store.list(folder)]
    for day in work.span.saves:
        states = [entry.path for entry in session.store.list(f"{work.checkpoint(day, '').rpartition('/')[0]}/") if entry.path.endswith(".state")]
        write_needs(session.store, day, states + [path for path in there if is_before(path, day, work.lead)])
        found = checkpoint_fingerprint(base, pasts, day, work.lead, minutes)
        write_checkpoint(session.store, day, found)
    daily = [day for day in sorted(read_checkpoints(session.store)) if not day_name(day).endswith(("-01-01", "-07-01"))]
    for day in daily[:-1]:
        drop_checkpoint(session.store, day)
    summary = read_summary(session.store)
    write_summary(session.store, replace(summary, forecast=summary.ingest, base=base))
