"""The gaps of a series: which kind each of them is, found again wherever candles changed."""

from collections.abc import Sequence

from msgspec.structs import replace

from chandlery.runs.publishing import publish
from chandlery.runs.session import SeriesRun, Session
from chandlery.state.records import SeriesSummary, Summary, gaps_fingerprint
from chandlery.tasks.gaps import ActivityTask, GapsTask, find_symbol_gaps, measure_all
from chandlery.tasks.ingest import IngestResult

__all__ = ["find_gaps", "publish_gaps"]


def find_gaps(session: Session, summary: Summary, results: Sequence[IngestResult]) -> Summary:
    """Stage the gaps of each series whose candles change by an ingest, or whose gaps are out of date.

    Args:
        session: The run.
        summary: The summary to store once all of it is published, without the gaps.
        results: The results of the ingest tasks.

    Returns:
        The summary with the gaps.
    """
    series = dict(summary.series)
    for name, run in session.series.items():
        staged = frozenset(result.symbol for result in results if result.series == name)
        series[name] = _find_gaps_of(run, series.get(name, SeriesSummary()), staged)
    return replace(summary, series=series)


def publish_gaps(run: SeriesRun) -> None:
    """Find and publish the gaps of a series if they are out of date with the published candles."""
    summary = _find_gaps_of(run, run.summary)
    if summary is not run.summary:
        publish(run.session)
        run.store_summary(summary)


def _find_gaps_of(run: SeriesRun, summary: SeriesSummary, staged: frozenset[str] = frozenset()) -> SeriesSummary:
    """Find the gaps of all symbols if candles of any changed: the activity of others is part of the evidence.

    Args:
        run: The series.
        summary: The state of its candles, those to be published included.
        staged: Symbols whose candles and ingest state are staged.

    Returns:
        The summary to store once the gaps are published; the same if nothing changed.
    """
    current = gaps_fingerprint(summary)
    if summary.gaps == current:
        return summary
    symbols = sorted({*run.list_years(), *summary.symbols})
    with run.stage("gaps", len(symbols), len(symbols)):
        run.session.map(measure_all, [ActivityTask(run.lake, tuple(symbols), staged)], [0.0], str)
        tasks = [GapsTask(run.lake, symbol, symbol in staged) for symbol in symbols]
        run.session.map(find_symbol_gaps, tasks, [0.5] * len(tasks), lambda result: result[0])
    return replace(summary, gaps=current)
