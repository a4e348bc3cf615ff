"""The order of things, readable top to bottom.

    raw files ─► ingest: a task a symbol ─► candles, rejects, ledger ─► gaps
    candles ─► market ─► gather: a task a symbol ─► leak gate ─► fit: a task a model and horizon
            ─► forecast: a task a symbol ─► scores

Each stage first asks whether what it rests on has changed, by fingerprint; where it has not, nothing is done.
"""

from collections.abc import Callable
from operator import attrgetter

import msgspec

from chandlery import survey
from chandlery.config import Settings
from chandlery.errors import ChandleryError
from chandlery.progress import Watch
from chandlery.records import read_summary, write_summary
from chandlery.session import Options, RunReport, Session, Stage
from chandlery.tasks.fit import FitTask, fit_model
from chandlery.tasks.gaps import GapsTask, find_symbol_gaps, measure
from chandlery.tasks.gate import check_symbol
from chandlery.tasks.gather import SymbolTask, gather_symbol
from chandlery.tasks.ingest import ingest_symbol
from chandlery.tasks.market import build_market
from chandlery.tasks.predict import predict_symbol
from chandlery.tasks.score import ScoreTask, score_lake

__all__ = ["Options", "RunReport", "Stage", "forecast", "ingest", "run"]

COST = {"ingest": 1.2, "gaps": 0.3, "market": 0.4, "gather": 1.0, "gate": 0.1, "fit": 0.02, "forecast": 1.5}  # CPU seconds a million candles, roughly: whether processes are worth it


def run(settings: Settings, options: Options, watch: Watch) -> RunReport:
    """Bring the lake up to date: ingest, then forecast.

    Raises:
        SettingsError: A setting, a bucket or a right is missing.
        LawError: A law was broken; forecasts were not published.
        StoreUnavailableError: A store did not answer.
        LeaseHeldError: Another run holds the lake.
    """
    return _carry_out([_ingest, _forecast], settings, options, watch)


def ingest(settings: Settings, options: Options, watch: Watch) -> RunReport:
    """Bring candles, rejects, ledger and gaps up to date; raises as `run` does."""
    return _carry_out([_ingest], settings, options, watch)


def forecast(settings: Settings, options: Options, watch: Watch) -> RunReport:
    """Bring forecasts, models and scores up to date with the candles; raises as `run` does."""
    return _carry_out([_forecast], settings, options, watch)


def _carry_out(stages: list[Callable[[Session], None]], settings: Settings, options: Options, watch: Watch) -> RunReport:
    session = Session(settings, options, watch)
    if survey.is_up_to_date(session, ingest=_ingest in stages, forecast=_forecast in stages):
        return session.report
    with session.held():
        try:
            for stage in stages:
                stage(session)
        except ChandleryError as error:
            session.report.exit_code = error.exit_code
            session.report.messages.append(str(error))
            raise
        finally:
            session.write_record()
    return session.report


def _ingest(session: Session) -> None:
    found = survey.survey_source(session)
    session.found_lake(found.interval)
    tasks = found.tasks(session)
    with session.stage("ingest", len(found.symbols), len(tasks)):
        done = session.map(ingest_symbol, tasks, COST["ingest"] * found.millions, attrgetter("symbol"))
    for result in done:
        session.report.published += result.published
    summary = survey.summarise(session, found)
    for code, message in survey.refusals(session, summary):
        session.refuse(code, message)
    write_summary(session.store, _find_gaps(session, summary))
