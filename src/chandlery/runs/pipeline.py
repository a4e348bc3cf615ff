"""The stages of a run in their order: read this module from top to bottom.

    raw files ─► ingest: a task a symbol ─► candles, rejects, ledger ─► gaps ─► publish
    candles ─► past: where to resume ─► market ─► gather, with the leak gate: a task a symbol
            ─► fit: a task a model or a year ─► forecast: a task a symbol ─► scores ─► publish

Each stage compares the fingerprint of its inputs with that of the last run and does nothing where they are equal.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import chain

from msgspec.structs import replace

from chandlery.errors import ChandleryError, SettingsError
from chandlery.features.run import plan_features, warm_up_steps
from chandlery.lake.glue import register_partitions
from chandlery.lake.staging import STAGING
from chandlery.models import BUILT_IN, model_names
from chandlery.progress import Silent, Watch
from chandlery.runs.additions import describe_added, plan_steps
from chandlery.runs.estimates import describe_whole
from chandlery.runs.founding import make_rules
from chandlery.runs.ingesting import ingest_files, report_refusals, tell_of_ingest
from chandlery.runs.leftovers import (
    forget_artefacts,
    forget_buckets,
    forget_checkpoints,
    forget_unknown,
    list_gone_objects,
    list_replaced,
)
from chandlery.runs.plan import Plan, Step, plan
from chandlery.runs.publishing import publish, settle
from chandlery.runs.resuming import Resumption, choose_start, complete_summary, is_forecast, list_gone
from chandlery.runs.run_report import ALL_STAGES, Options, RunReport, Stage, StageName
from chandlery.runs.session import SeriesRun, Session
from chandlery.runs.survey import Source, survey_source
from chandlery.runs.unmatched import list_paths, name_unmatched_layouts, name_unmatched_sections
from chandlery.schema import TABLES
from chandlery.settings.model import Settings
from chandlery.state.records import SeriesSummary, candles_fingerprint, gaps_fingerprint
from chandlery.tasks.fit import fit_models, plan_fits
from chandlery.tasks.gaps import ActivityTask, GapsTask, find_symbol_gaps, measure_all
from chandlery.tasks.gather import Gathered, gather_symbol, is_gathered, recall_gathered
from chandlery.tasks.market import build_market, forget_market
from chandlery.tasks.predict import Predicted, predict_symbol
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
    return _carry_out(ALL_STAGES, settings, options, watch)


def ingest(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring candles, rejects, ledger and gaps up to date; takes and raises what `run` does."""
    return _carry_out(frozenset([StageName.INGEST]), settings, options, watch)


def forecast(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring forecasts, models and scores up to date with the candles; takes and raises what `run` does."""
    return _carry_out(frozenset([StageName.FORECAST]), settings, options, watch)


def _carry_out(
    stages: frozenset[StageName], settings: Settings, options: Options | None, watch: Watch | None
) -> RunReport:
    session = Session(settings, options or Options(), watch or Silent(), stages)
    if StageName.INGEST not in stages:
        _check_symbols(session)
    if _is_up_to_date(session):
        _tell_of_sections(session)
        _register(session)
        return session.report
    with session.held():
        _tell_of_models(session)
        try:
            settle(session)
            session.check_state()
            if StageName.INGEST in stages:
                _ingest(session)
            if StageName.FORECAST in stages:
                _forecast(session)
            _tell_of_sections(session)
            _register(session)
        except BaseException as error:
            if isinstance(error, ChandleryError):
                session.report.exit_code = error.exit_code
                session.report.messages.append(str(error))
            with suppress(ChandleryError):  # what ended the run matters more
                session.write_record()
            raise
        session.write_record()
    return session.report


def _check_symbols(session: Session) -> None:
    """Check that the symbols that the settings name have candles in a series to forecast.

    Raises:
        SettingsError: One has none.
    """
    known = sorted(
        {symbol for run in session.chosen for symbol in run.list_years()} if session.settings.symbols else ()
    )
    if missing := sorted(set(session.settings.symbols).difference(known)):
        hint = "check --symbol, or ingest its files"
        raise SettingsError(f"no candles of {missing[0]}", f"one of {', '.join(known[:50])}", hint)


def _tell_of_models(session: Session) -> None:
    for run in session.series.values():
        held = run.series.models
        others = [name for name in model_names(run.extensions) if name not in {*BUILT_IN, *held}]
        if others:
            found = f"model {others[0]!r} is registered, but the models of this lake are {', '.join(held)}"
            run.tell(f"{found}. Hint: add it to [forecast] models")


def _tell_of_sections(session: Session) -> None:
    for note in name_unmatched_sections(session.settings, session.series):
        session.tell(note)


def _survey(session: Session) -> Source:
    """Survey the source, and report layouts that hold for none of its files."""
    source = survey_source(session)
    paths = list_paths(source)
    for note in () if session.only else name_unmatched_layouts(session.settings.source, paths):
        session.tell(note)
    return source


def _is_up_to_date(session: Session) -> bool:
    """Return whether nothing has changed since the last completed run, from a few listings and two small objects."""
    # A missing source raises here, before anything is written.
    source = _survey(session) if StageName.INGEST in session.stages else None
    is_ingested = source is None or source.is_up_to_date()
    if is_ingested or (session.options.restate and session.is_restated):
        # Before `lake.json` is written. Where new files may found series, `Session.found` checks it.
        session.check_given()
    if session.is_new or session.is_restated or not is_ingested:
        return False
    years = source.years if source else session.list_years()
    for run in session.series.values():
        if run.summary.gaps != gaps_fingerprint(run.summary):
            return False
    for run in session.chosen if StageName.FORECAST in session.stages else ():
        held = years.get(run.name, {})
        if not is_forecast(run, held) or any(run.prunes(symbol) for symbol in list_gone(run, held)):
            return False
    if session.store.list(STAGING):  # a run was killed: its publication is finished or swept under the lease
        return False
    count = sum(len(run.summary.symbols) for run in session.series.values())
    for name in StageName:
        if name in session.stages:
            session.report.stages.append(Stage(name.value, count, 0, count, 0.0))
    report_refusals(session)
    return True


def _ingest(session: Session) -> None:
    """Read the new and changed files of each symbol, classify the gaps of each series, and publish both."""
    source = survey_source(session)
    coming, done = ingest_files(session, source)
    series = dict(coming.series)
    for name, run in session.series.items():
        staged = frozenset(result.symbol for result in done if result.series == name)
        series[name] = _find_gaps(run, series.get(name, SeriesSummary()), staged)
    publish(session)
    session.keep(replace(coming, series=series))
    tell_of_ingest(session, done)


def _find_gaps(run: SeriesRun, summary: SeriesSummary, staged: frozenset[str] = frozenset()) -> SeriesSummary:
    """Classify the gaps of all symbols if candles of any changed: the activity of others is part of the evidence.

    Args:
        run: The series.
        summary: What is known of its candles, those to be published included.
        staged: Symbols whose candles and ingest state are staged.

    Returns:
        The summary to keep once the gaps are published; the same if nothing changed.
    """
    current = gaps_fingerprint(summary)
    if summary.gaps == current:
        return summary
    symbols = sorted({*run.list_years(), *summary.symbols})
    with run.stage("gaps", len(symbols), len(symbols)):
        run.session.map(measure_all, [ActivityTask(run.lake, tuple(symbols), staged)], [0.0], str)
        tasks = [GapsTask(run.lake, symbol, symbol in staged) for symbol in symbols]
        run.session.map(find_symbol_gaps, tasks, [0.5] * len(tasks), lambda found: found[0])
    return replace(summary, gaps=current)


def _forecast(session: Session) -> None:
    """Bring the forecasts of every series, or of those that the settings name, up to date."""
    _check_symbols(session)
    for run in session.chosen:
        _forecast_series(run)


def _forecast_series(run: SeriesRun) -> None:
    """Compute forecasts from the newest valid checkpoint on, or from an earlier one if state turns out to be lost."""
    years = run.list_years()
    gone = _find_gone(run, years)
    if not years:
        publish(run.session, gone)
    if not years or is_forecast(run, years):
        return
    complete_summary(run, sorted(years))
    if (coming := _find_gaps(run, run.summary)) is not run.summary:
        publish(run.session)  # gaps decide where labels end: tasks read the published ones
        run.keep(coming)
    for step in plan_steps(run, make_rules(run.series, sorted(years))):
        if step.added:
            run.tell(describe_added(step.added, step.rules))
        resumption = choose_start(run, sorted(years), step.rules, step.added)
        if resumption.why:
            run.tell(f"{resumption.why}: {describe_whole(run.series, run.summary)}")
        compute = partial(_compute, run, resumption, gone)
        while not resumption.try_to(compute):
            pass


def _compute(run: SeriesRun, resumption: Resumption, gone: frozenset[str], work: Work) -> None:
    """Compute and publish everything from the first day of the span on; `gone` is deleted with it.

    Raises:
        StateLostError: State or published rows that this run needs are missing or damaged.
    """
    shown = _choose_shown(run, resumption.symbols)
    # Later checkpoints and forecasts are about to be overwritten: a killed run must not leave them marked as valid.
    # A killed addition is not gone on with, nor are forecasts of some symbols under new rules: all is computed then.
    base = run.summary.base if run.summary.base == resumption.base and not work.added else ""
    begun = replace(run.summary, checkpoints=resumption.still_valid, forecast="", base=base)
    run.keep(begun, coming=run.session.staging)
    run.session.note_change(run.session.staging)
    tasks = {symbol: SymbolTask(work, symbol, past.first_day) for symbol, past in resumption.pasts.items()}
    costs, markets = resumption.costs, [work] if work.rules.references else []
    with run.stage("market", len(work.rules.references), len(markets)):
        run.session.map(build_market, markets, [0.0] * len(markets), str)
    gathered = _gather(run, resumption, work, tasks)
    fits = _fit(run, work, gathered)
    with run.stage("forecast", len(tasks), len(shown)):
        narrow, each = work.narrow(), [costs[symbol] for symbol in shown]
        chosen = [SymbolTask(narrow, symbol, resumption.pasts[symbol].first_day) for symbol in shown]
        done = run.session.map(predict_symbol, chosen, each, lambda found: found.symbol)
    with run.stage("scores", 1, 1):
        scores = ScoreTask(work, tuple(tasks), frozenset(shown), run.session.options.prune, run.session.named)
        run.session.map(score_lake, [scores], [0.0], str)
    objects = _publish_forecasts(run, work, done, gone)
    if fits and not objects and not work.span.resumed:
        run.tell(
            "no forecasts yet: no model has rows enough to learn from, for the first "
            f"{warm_up_steps(work.rules.grid)} candles of a symbol are none. Hint: add older candles"
        )
    forget_market(work)
    if len(shown) == len(tasks):
        _remember(run, resumption, objects)


def _gather(run: SeriesRun, resumption: Resumption, work: Work, tasks: dict[str, SymbolTask]) -> Sequence[Gathered]:
    """Gather the rows that models learn from; those that an earlier run has gathered are taken as they are."""
    if is_gathered(work):
        with run.stage("gather", len(tasks), 0):
            pasts = resumption.pasts.items()
            return [recall_gathered(work, symbol, past.first_day, past.newest_ms) for symbol, past in pasts]
    with run.stage("gather", len(tasks), len(tasks)):
        costs = list(resumption.costs.values())
        gathered = run.session.map(gather_symbol, list(tasks.values()), costs, lambda found: found.symbol)
        forget_buckets(work, gathered)
    return gathered


def _publish_forecasts(run: SeriesRun, work: Work, done: Sequence[Predicted], gone: frozenset[str]) -> int:
    """Publish forecasts, scores and models; return how many objects of forecasts there are then."""
    held, replaced = list_replaced(run.lake, work.span, done, run.series.horizons)
    left = held - replaced - gone
    if len(left) < run.summary.forecasts:  # a run that is killed now must not take the others for lost
        run.keep(replace(run.summary, forecasts=len(left)))
    published = publish(run.session, replaced | gone)
    return len(left | {path for path in published.put if path.startswith("forecasts/")})


def _fit(run: SeriesRun, work: Work, gathered: Sequence[Gathered]) -> int:
    """Fit the models, and return the number of tasks."""
    names = plan_features("", work.rules.grid, work.rules.references, work.extensions).names
    fits = plan_fits(work, tuple(gathered), names)
    if not fits and not work.span.resumed:
        run.tell(
            f"no forecasts yet: the first fit is in the first month after {work.rules.min_train_days}d of history. "
            "Hint: add older candles, or lower [forecast] min_train and give --restate"
        )
    with run.stage("fit", len(fits), len(fits)):
        made = run.session.map(fit_models, fits, [len(task.due) * 0.5 for task in fits], str)
        if work.added is None:
            forget_artefacts(work, list(chain.from_iterable(made)), [found.symbol for found in gathered])
    return len(fits)


def _choose_shown(run: SeriesRun, symbols: Sequence[str]) -> list[str]:
    """Return the symbols whose forecasts are published: all of them, or those that the settings name."""
    wanted = run.session.settings.symbols
    return [symbol for symbol in symbols if not wanted or symbol in wanted]


def _remember(run: SeriesRun, resumption: Resumption, forecasts: int) -> None:
    """Record the checkpoints as valid and the forecasts as up to date, then delete state that is no longer needed."""
    summary = run.summary
    checkpoints = resumption.all_checkpoints()
    done = replace(
        summary,
        checkpoints=checkpoints,
        code=resumption.code,
        forecast=candles_fingerprint(summary),
        base=resumption.base,
        forecasts=forecasts,
        horizons=list(resumption.rules.horizons),
        models=list(resumption.rules.models),
        extensions=list(resumption.rules.extensions),
    )
    run.keep(done)
    forget_checkpoints(run.lake, checkpoints)
    if not resumption.span.resumed:
        forget_unknown(run.lake)


def _find_gone(run: SeriesRun, years: dict[str, list[int]]) -> frozenset[str]:
    """Return the paths to delete for symbols without candles that are to be pruned; others are reported."""
    gone = list_gone(run, years)
    kept = [symbol for symbol in gone if not run.prunes(symbol)]
    if kept:
        found = f"forecasts of {', '.join(kept[:10])} are kept, although the lake has no candles for them"
        run.tell(f"{found}. Hint: --prune deletes them")
    if len(kept) == len(gone):
        return frozenset()
    checkpoints = run.summary.checkpoints if years else {}  # if the same candles return, they are forecast again
    stays = frozenset([*years, *kept])
    left = sum(part["symbol"] in stays for part in run.list_forecasts())
    run.keep(replace(run.summary, forecast="", forecasts=left, checkpoints=checkpoints))  # scores are renewed
    return list_gone_objects(run.lake, stays)


def _register(session: Session) -> None:
    """Bring the partitions in Glue up to date if the settings name a database, also when nothing else has changed."""
    if database := session.settings.lake.catalog:
        with session.stage("catalog", len(TABLES), len(TABLES)):
            register_partitions(session.store, database)
