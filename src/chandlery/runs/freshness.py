"""Whether a run has anything to do."""

from chandlery.lake.staging import STAGING
from chandlery.runs.forecasting import check_symbols
from chandlery.runs.leftovers import list_without_candles
from chandlery.runs.messages import report_refusals
from chandlery.runs.resuming import is_forecast
from chandlery.runs.run_report import Stage, StageName
from chandlery.runs.session import Session, Years
from chandlery.runs.survey import survey_source
from chandlery.runs.unmatched import report_unmatched_layouts
from chandlery.state.records import gaps_fingerprint

__all__ = ["is_up_to_date"]


def is_up_to_date(session: Session) -> bool:
    """Return whether nothing has changed since the last completed run, from a few listings and two small objects.

    Nothing is written. If there is nothing to do, the stages and the files that are refused are reported.

    Raises:
        SettingsError: The source is missing, or the settings name a series, a symbol or a horizon that there is not.
    """
    source = survey_source(session) if StageName.INGEST in session.stages else None
    if source is not None:
        report_unmatched_layouts(session, source)
    is_ingested = source is None or source.is_up_to_date()
    if is_ingested or (session.options.restate and session.is_restated):
        # Before `lake.json` is written. New files may add series: then `Session.add_series` checks it.
        session.check_choices()
    if source is None:
        check_symbols(session)
    if session.is_new or session.is_restated or not is_ingested:
        return False
    if not _are_tables_up_to_date(session, source.years if source else session.list_years()):
        return False
    if session.store.list(STAGING):  # a run was killed: its publication is finished or deleted under the lease
        return False
    _report_idle_stages(session)
    return True


def _are_tables_up_to_date(session: Session, years: dict[str, Years]) -> bool:
    """Return whether gaps and forecasts are up to date with the candles.

    Args:
        session: The run.
        years: The years with candles, by series and symbol.
    """
    if any(run.summary.gaps != gaps_fingerprint(run.summary) for run in session.series.values()):
        return False
    for run in session.chosen if StageName.FORECAST in session.stages else ():
        of_series = years.get(run.name, {})
        if not is_forecast(run, of_series) or any(map(run.prunes, list_without_candles(run, of_series))):
            return False
    return True


def _report_idle_stages(session: Session) -> None:
    count = sum(len(run.summary.symbols) for run in session.series.values())
    for name in StageName:
        if name in session.stages:
            session.report.stages.append(Stage(name.value, count, 0, count, 0.0))
    report_refusals(session)
