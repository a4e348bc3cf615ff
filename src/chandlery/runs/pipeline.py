"""The order of a run: read this module from top to bottom.

    raw files ─► recognise ─► ingest: candles, rejects, ledger ─► gaps ─► publish
    candles ─► market ─► gather ─► leak gate ─► fit ─► forecast ─► leak gate ─► scores ─► publish ─► catalog

Most steps map a function over tasks, one per symbol. The module that a step is imported from shows how it works.
"""

from functools import partial

from chandlery.progress import Silent, Watch
from chandlery.runs.forecasting import (
    begin,
    build_market,
    check_symbols,
    compile_first,
    finish,
    fit,
    gather,
    list_computations,
    pass_leak_gate,
    predict,
    publish_forecasts,
    resume,
    score,
    unpublish_pruned,
)
from chandlery.runs.freshness import is_up_to_date
from chandlery.runs.gaps import find_gaps
from chandlery.runs.ingesting import add_series, ingest_files
from chandlery.runs.messages import report_ingest
from chandlery.runs.plan import Plan, Step, plan
from chandlery.runs.publishing import publish, settle, update_catalog
from chandlery.runs.recognising import recognise
from chandlery.runs.resuming import Resumption
from chandlery.runs.run_report import ALL_STAGES, Options, RunReport, Stage, StageName
from chandlery.runs.session import SeriesRun, Session
from chandlery.runs.survey import survey_source
from chandlery.runs.unmatched import report_unmatched_models, report_unmatched_sections
from chandlery.settings.model import Settings

__all__ = ["Options", "Plan", "RunReport", "Stage", "Step", "forecast", "ingest", "plan", "run"]


def run(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring the lake up to date: ingest, then forecast.

    Args:
        settings: From `load_settings`.
        options: Options of this run, such as pruning.
        watch: Receives progress and messages; without it they are only part of the report.

    Raises:
        SettingsError: A setting, a bucket or a right is missing, or a setting differs from the lake's.
        LawError: Rows of a file are not accounted for, or a value was computed from later data; no forecasts were
            published.
        StoreUnavailableError: A store did not answer.
        LeaseHeldError: Another run holds the lake.
    """
    return _run_stages(ALL_STAGES, settings, options, watch)


def ingest(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring candles, rejects, ledger and gaps up to date; arguments and errors are those of `run`."""
    return _run_stages(frozenset([StageName.INGEST]), settings, options, watch)


def forecast(settings: Settings, options: Options | None = None, watch: Watch | None = None) -> RunReport:
    """Bring forecasts, models and scores up to date with the candles; arguments and errors are those of `run`."""
    return _run_stages(frozenset([StageName.FORECAST]), settings, options, watch)


def _run_stages(
    stages: frozenset[StageName], settings: Settings, options: Options | None, watch: Watch | None
) -> RunReport:
    session = Session(settings, options or Options(), watch or Silent(), stages)
    if is_up_to_date(session):
        _end(session)
        return session.report
    with session.open():
        report_unmatched_models(session)
        settle(session)
        if StageName.INGEST in stages:
            _ingest(session)
        if StageName.FORECAST in stages:
            _forecast(session)
        _end(session)
    return session.report


def _ingest(session: Session) -> None:
    """Read the new and changed files of each symbol, find the gaps of each series, and publish the tables."""
    source = survey_source(session)
    assigned = recognise(session, source)
    add_series(session, assigned)
    summary, results = ingest_files(session, source, assigned)
    summary = find_gaps(session, summary, results)
    publish(session)
    session.store_summary(summary)
    report_ingest(session, results)


def _forecast(session: Session) -> None:
    """Bring forecasts up to date: those of the series that the settings name, or of all if they name none."""
    check_symbols(session)
    compile_first(session)
    for run in session.chosen:
        _forecast_series(run)


def _forecast_series(run: SeriesRun) -> None:
    """Bring the forecasts of a series up to date, in several computations if horizons or models were added."""
    years = run.list_years()
    compute = partial(_compute, obsolete=unpublish_pruned(run, years))
    for computation in list_computations(run, years):
        resume(run, sorted(years), computation, compute)


def _compute(resumption: Resumption, obsolete: frozenset[str]) -> None:
    """Compute and publish forecasts, from the day of a checkpoint or from the first candle on.

    Args:
        resumption: Where the computation begins, and what it computes.
        obsolete: Paths of objects to delete with the publication.

    Raises:
        LawError: The leak gate found a value that was computed from later data; nothing is published.
        StateLostError: State or published rows that this run needs are missing or damaged.
    """
    begin(resumption)
    build_market(resumption)
    gathered = gather(resumption)
    pass_leak_gate(gathered)
    fits = fit(resumption, gathered)
    predicted = predict(resumption)
    pass_leak_gate(predicted)
    score(resumption)
    forecasts = publish_forecasts(resumption, predicted, obsolete)
    finish(resumption, fits, forecasts)


def _end(session: Session) -> None:
    """Report [[series]] sections of the settings that match no series, and bring the catalog up to date."""
    report_unmatched_sections(session)
    update_catalog(session)
