"""The stages of a run in their order: read this module from top to bottom.

    raw files ─► ingest: a task a symbol ─► candles, rejects, ledger ─► gaps
    candles ─► past: where to resume ─► market ─► gather, with the leak gate: a task a symbol
            ─► fit: a task a model or a year ─► forecast: a task a symbol ─► scores

Each stage compares the fingerprint of its inputs with that of the last run and does nothing where they are equal.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain

from msgspec.structs import replace

from chandlery.catalog import register_partitions
from chandlery.config import Settings
from chandlery.errors import ChandleryError, SettingsError
from chandlery.estimates import describe_whole, raw_seconds
from chandlery.features import plan_features
from chandlery.leftovers import (
    forget_artefacts,
    forget_buckets,
    forget_checkpoints,
    forget_forecasts,
    forget_gone,
    forget_unknown,
)
from chandlery.models import BUILT_IN, model_names
from chandlery.plan import Plan, Step, plan
from chandlery.progress import Silent, Watch
from chandlery.resuming import Resumption, choose_start, complete_summary, is_forecast, list_gone
from chandlery.schema import TABLES
from chandlery.session import Options, RunReport, Session, Stage
from chandlery.state.fingerprints import describe_changes
from chandlery.state.paths import SUMMARY
from chandlery.state.records import candles_fingerprint, gaps_fingerprint
from chandlery.survey import Source, survey_source
from chandlery.tasks.fit import fit_models, plan_fits
from chandlery.tasks.gaps import ActivityTask, GapsTask, find_symbol_gaps, measure_all
from chandlery.tasks.gather import Gathered, gather_symbol
from chandlery.tasks.ingest import UNKNOWN, ingest_symbol
from chandlery.tasks.market import build_market, forget_market
from chandlery.tasks.predict import predict_symbol
from chandlery.tasks.score import ScoreTask, score_lake
from chandlery.tasks.work import SymbolTask, Work

__all__ = ["Options", "Plan", "RunReport", "Stage", "Step", "forecast", "ingest", "plan", "run"]


def run(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring the lake up to date: ingest, then forecast.

    Args:
        settings: From `load_settings`.
        options: Options of this run, such as pruning.
        watch: Receives progress and messages; without it they are only part of the report.

    Raises:
        SettingsError: A setting, a bucket or a right is missing, or a setting differs from the lake's.
        LawError: A law was broken; no forecasts were published.
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


def _carry_out(
    stages: list[Callable[[Session], None]], settings: Settings, options: Options | None, watch: Watch | None
) -> RunReport:
    session = Session(settings, options or Options(), watch or Silent())
    if _ingest not in stages and session.lake_file is None:
        raise SettingsError(
            f"no lake at {session.store.uri}", "a lake with candles", "run `chandlery ingest` first, or check --lake"
        )
    session.only = frozenset(settings.symbols if stages == [_ingest] else ())
    if stages == [_forecast] and (missing := sorted(set(settings.symbols) - set(years := session.list_years()))):
        raise SettingsError(f"no candles of {missing[0]}", f"one of {', '.join(sorted(years)[:50])}", "check --symbol, or ingest its files")
    if _is_up_to_date(session, stages):
        _register(session)
        return session.report
    with session.held():
        _tell_of_models(session)
        try:
            for stage in (*stages, _register):
                stage(session)
        except BaseException as error:
            if isinstance(error, ChandleryError):
                session.report.exit_code = error.exit_code
                session.report.messages.append(str(error))
            with suppress(ChandleryError):  # what ended the run matters more
                session.write_record()
            raise
        session.write_record()
    return session.report


def _tell_of_models(session: Session) -> None:
    if file := session.lake_file:
        others = [name for name in model_names(session.extensions) if name not in {*BUILT_IN, *file.models}]
        if others:
            found = f"model {others[0]!r} is registered, but the models of this lake are {', '.join(file.models)}"
            session.tell(f"{found}. Hint: add it to [forecast] models and give --restate")


def _is_up_to_date(session: Session, stages: list[Callable[[Session], None]]) -> bool:
    """Return whether nothing has changed since the last completed run, from a few listings and two small objects."""
    # A missing source raises here, before anything is written.
    source = survey_source(session) if _ingest in stages else None
    file, summary = session.lake_file, session.summary
    if file is None or session.is_restated or (source is not None and source.pending()):
        return False
    if summary.gaps != gaps_fingerprint(summary):
        return False
    if _forecast in stages:
        years = source.years if source else session.list_years()
        if not is_forecast(session, years) or (session.options.prune and list_gone(session, years)):
            return False
    for stage in stages:
        session.report.stages.append(
            Stage(stage.__name__.strip("_"), len(summary.symbols), 0, len(summary.symbols), 0.0)
        )
    _report_refusals(session)
    return True


def _report_refusals(session: Session) -> None:
    for held in session.summary.symbols.values():
        for message in held.problems:
            session.refuse(3, message)


def _ingest(session: Session) -> None:
    """Read the new and changed files of each symbol, then classify the gaps."""
    source = survey_source(session)
    session.found_lake(source.interval)
    pending = source.pending()
    _tell_of_reading(session, source, pending)
    with session.stage("ingest", len(source.files), len(pending)):
        costs = [raw_seconds(source.fresh_bytes(symbol)) for symbol in pending]
        tasks = [source.task(symbol) for symbol in pending]
        source.mark_begun(pending)
        done = session.map(ingest_symbol, tasks, costs, lambda result: result.symbol)
    session.report.published += sum(result.published for result in done)
    for note in chain.from_iterable(result.notes for result in done):
        session.tell(note)
    symbols = session.summary.symbols | {result.symbol: source.summarise(result) for result in done}
    code = session.summary.code | {"ingest": source.code}
    session.keep(replace(session.summary, symbols=dict(sorted(symbols.items())), archives=source.archives, code=code))
    if held_back := sum(result.held_back for result in done):
        found = f"{held_back:,} file{'s were' if held_back > 1 else ' was'} read under other settings of [source]"
        session.tell(f"{found}: the tables keep what was read. Hint: --restate reads such files again")
    if files := sum(result.vanished[0] for result in done):
        candles = sum(result.vanished[1] for result in done)
        found = f"{files:,} file{'s are' if files > 1 else ' is'} gone from the source"
        stays = f"their {candles:,} candles stay. Hint: --prune deletes them"
        session.tell(f"{found}: their {candles:,} candles were deleted, as --prune asks" if session.options.prune else f"{found}: {stays}")
    _report_refusals(session)
    _find_gaps(session)


def _tell_of_reading(session: Session, source: Source, pending: list[str]) -> None:
    """Report why unchanged files are read again, and what that costs."""
    before = session.summary.code.get("ingest", {})
    if not before and source.years:
        session.tell(f"{SUMMARY} is missing, damaged or of another version: all files are read again")
    elif before and (changes := describe_changes(before, source.code)):
        size = sum(file.size_bytes for symbol in pending for file in source.files[symbol])
        cost = f"{size / 1e6:,.0f} MB, about {raw_seconds(size):,.0f} CPU-s"
        session.tell(f"code or libraries changed ({changes}): all files are read again, {cost}")
    for symbol in pending:
        if source.has_lost(symbol):
            session.tell(f"objects of {symbol} are missing from the table candles: all its files are read again")


def _find_gaps(session: Session) -> None:
    """Classify the gaps of all symbols if candles of any changed: the activity of others is part of the evidence."""
    current = gaps_fingerprint(session.summary)
    if session.summary.gaps == current:
        return
    symbols = sorted({*session.list_years(), *session.summary.symbols} - {UNKNOWN})
    with session.stage("gaps", len(symbols), len(symbols)):
        session.map(measure_all, [ActivityTask(session.lake, tuple(symbols))], [0.0], str)
        done = session.map(
            find_symbol_gaps,
            [GapsTask(session.lake, symbol) for symbol in symbols],
            [0.5] * len(symbols),
            lambda found: found[0],
        )
    session.report.published += sum(changed for _, changed in done)
    session.keep(replace(session.summary, gaps=current))


def _forecast(session: Session) -> None:
    """Compute forecasts from the newest valid checkpoint on, or from an earlier one if state turns out to be lost."""
    file = session.lake.series
    if not file.in_minutes:
        session.tell(
            f"no forecasts: candles of {file.interval} are only ingested. Hint: forecasts need candles of whole minutes"
        )
        return
    years = session.list_years()
    _forget_gone(session, years)
    if not years or is_forecast(session, years):
        return
    complete_summary(session, sorted(years))
    _find_gaps(session)
    resumption = choose_start(session, sorted(years))
    if resumption.why:
        session.tell(f"{resumption.why}: {describe_whole(file, session.summary)}")
    while not resumption.try_to(lambda work: _compute(session, resumption, work)):
        pass


def _compute(session: Session, resumption: Resumption, work: Work) -> None:
    """Compute and publish everything from the first day of the span on.

    Raises:
        StateLostError: State or published rows that this run needs are missing or damaged.
    """
    shown = _choose_shown(session, resumption.symbols)
    # Later checkpoints and forecasts are about to be overwritten: a killed run must not leave them marked as valid.
    session.keep(replace(session.summary, checkpoints=resumption.still_valid, forecast=""))
    tasks = {symbol: SymbolTask(work, symbol, past.first_day) for symbol, past in resumption.pasts.items()}
    costs = resumption.costs
    with session.stage("market", len(work.rules.references), min(1, len(work.rules.references))):
        session.map(build_market, [work] if work.rules.references else [], [0.0] if work.rules.references else [], str)
    with session.stage("gather", len(tasks), len(tasks)):
        gathered = session.map(gather_symbol, list(tasks.values()), list(costs.values()), lambda found: found.symbol)
        forget_buckets(work, gathered)
    _fit(session, work, gathered)
    with session.stage("forecast", len(tasks), len(shown)):
        done = session.map(
            predict_symbol,
            [tasks[symbol] for symbol in shown],
            [costs[symbol] for symbol in shown],
            lambda found: found.symbol,
        )
        deleted, objects = forget_forecasts(session.lake, work.span, done, work.rules.horizons)
    with session.stage("scores", 1, 1):
        scores = ScoreTask(work, tuple(tasks), frozenset(shown), session.options.prune)
        put = session.map(score_lake, [scores], [0.0], str)
    session.report.published += sum(found.published for found in done) + deleted + sum(put)
    forget_market(work)
    if len(shown) == len(tasks):
        _remember(session, resumption, objects)


def _fit(session: Session, work: Work, gathered: Sequence[Gathered]) -> None:
    names = plan_features("", work.rules.interval_minutes, work.rules.references, work.extensions).names
    fits = plan_fits(work, tuple(gathered), names)
    if not fits and not work.span.resumed:
        session.tell(
            f"no forecasts yet: the first fit is in the first month after {work.rules.min_train_days}d of history. "
            "Hint: add older candles, or lower [forecast] min_train and give --restate"
        )
    with session.stage("fit", len(fits), len(fits)):
        made = session.map(fit_models, fits, [len(task.due) * 0.5 for task in fits], str)
        forget_artefacts(work, list(chain.from_iterable(made)), [found.symbol for found in gathered])


def _choose_shown(session: Session, symbols: Sequence[str]) -> list[str]:
    """Return the symbols whose forecasts are published: all of them, or those that the settings name."""
    wanted = session.settings.symbols
    if shown := [symbol for symbol in symbols if not wanted or symbol in wanted]:
        return shown
    raise SettingsError(
        f"no candles of {', '.join(wanted)}", f"one of {', '.join(symbols[:50])}", "check --symbol, or ingest its files"
    )


def _remember(session: Session, resumption: Resumption, forecasts: int) -> None:
    """Record the checkpoints as valid and the forecasts as up to date, then delete state that is no longer needed."""
    summary = session.summary
    checkpoints = resumption.all_checkpoints()
    code = summary.code | {"forecast": resumption.code}
    done = replace(
        summary,
        checkpoints=checkpoints,
        code=code,
        forecast=candles_fingerprint(summary),
        base=resumption.base,
        forecasts=forecasts,
    )
    session.keep(done)
    forget_checkpoints(session.lake, checkpoints)
    if not resumption.span.resumed:
        forget_unknown(session.lake)


def _forget_gone(session: Session, years: dict[str, list[int]]) -> None:
    """Delete the forecasts of symbols without candles if pruning was requested; otherwise report them."""
    gone = list_gone(session, years)
    if gone and not session.options.prune:
        found = f"forecasts of {', '.join(gone[:10])} are kept, although the lake has no candles for them"
        session.tell(f"{found}. Hint: --prune deletes them")
    elif gone:
        session.report.published += forget_gone(session.lake, frozenset(years))
        checkpoints = session.summary.checkpoints if years else {}  # should the same candles come back, they are forecast again
        left = len(session.list_forecasts())
        session.keep(replace(session.summary, forecast="", forecasts=left, checkpoints=checkpoints))  # scores are to be renewed


def _register(session: Session) -> None:
    """Bring the partitions in Glue up to date if the settings name a database, also when nothing else has changed."""
    if database := session.settings.lake.catalog:
        with session.stage("catalog", len(TABLES), len(TABLES)):
            register_partitions(session.store, database)
