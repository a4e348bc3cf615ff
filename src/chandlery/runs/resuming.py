"""Where a forecast run begins: the newest valid checkpoint, an earlier one if state is lost, or the first candle."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from chandlery.errors import StateLostError
from chandlery.extensions import open_models
from chandlery.grid import DAY_MS
from chandlery.runs.estimates import seconds_per_day
from chandlery.runs.founding import make_rules
from chandlery.runs.session import SeriesRun, Years
from chandlery.state.checkpoints import Marked, Span, choose_kept, combine_marks, plan_span, select_days
from chandlery.state.fingerprints import FORECAST_STAGES, describe_changes, fingerprint, name_code
from chandlery.state.paths import day_name
from chandlery.state.records import SeriesSummary, SymbolSummary, candles_fingerprint
from chandlery.tasks.marks import MarkTask, mark_symbol
from chandlery.tasks.work import Added, Rules, Work

__all__ = [
    "Resumption",
    "choose_start",
    "complete_summary",
    "forecast_base",
    "forecast_code",
    "is_forecast",
    "read_checkpoints",
]


def forecast_code(run: SeriesRun, rules: Rules) -> dict[str, str]:
    """Return the versions of all code that forecasts depend on, by name."""
    models = {model.name: model.algorithm for model in open_models(rules.models, run.extensions)}
    return name_code(FORECAST_STAGES, models)


def forecast_base(run: SeriesRun, rules: Rules) -> str:
    """Return the hash of the settings, stage versions, extensions and libraries that forecasts depend on."""
    return fingerprint(rules, forecast_code(run, rules))


def is_forecast(run: SeriesRun, years: Years) -> bool:
    """Return whether forecasts are up to date with the candles.

    Args:
        run: The series.
        years: Of which the table of candles has objects, by symbol.
    """
    summary = run.summary
    if not years:
        return True
    if summary.forecast != candles_fingerprint(summary):
        return False
    return summary.base == forecast_base(run, make_rules(run.series, sorted(years)))


def read_checkpoints(summary: SeriesSummary) -> dict[int, str]:
    """Return the fingerprints of the checkpoints, by day since 1970."""
    return {int(np.datetime64(name, "D").astype(int)): known for name, known in summary.checkpoints.items()}


@dataclass
class Resumption:
    """Where a forecast run begins, and how that changes if state turns out to be lost.

    Args:
        run: The series.
        rules: What decides results.
        pasts: Marks of each symbol's past, from which checkpoints are judged, by symbol.
        base: From `forecast_base`.
        code: From `forecast_code`.
        held: Fingerprints of the stored checkpoints, by day.
        span: The stretch of time to compute.
        why: Why everything is computed again; empty if it is not.
        added: What alone is computed, from the first candle on; None where it is everything in the span.
    """

    run: SeriesRun
    rules: Rules
    pasts: dict[str, Marked]
    base: str
    code: dict[str, str]
    held: dict[int, str]
    span: Span
    why: str = ""
    added: Added | None = None

    @property
    def published_symbols(self) -> list[str]:
        """The symbols whose forecasts are published: all of them, or those that the settings name."""
        named = self.run.session.named
        return [symbol for symbol in self.pasts if not named or symbol in named]

    @property
    def work(self) -> Work:
        """What every task of the forecast stage receives."""
        first_day = min(past.first_day for past in self.pasts.values())
        return Work(self.run.lake, self.span, self.rules, first_day, self.run.extensions, self.added)

    @property
    def costs(self) -> dict[str, float]:
        """Rough CPU seconds of a stage, by symbol."""
        each = seconds_per_day(self.rules.grid)
        return {
            name: each * (past.newest_ms // DAY_MS - max(self.span.since, past.first_day))
            for name, past in self.pasts.items()
        }

    @property
    def still_valid(self) -> dict[str, str]:
        """The checkpoints that stay valid while later results are overwritten, by name of the day."""
        return {
            day_name(day): known for day, known in self.held.items() if self.span.resumed and day <= self.span.since
        }

    def all_checkpoints(self) -> dict[str, str]:
        """Return the checkpoints to keep once everything is computed, by name of the day."""
        made = {day_name(day): combine_marks(self.base, self.pasts, day) for day in self.span.saves}
        found = self.still_valid | made
        days = {int(np.datetime64(name, "D").astype(int)): name for name in found}
        return {days[day]: found[days[day]] for day in sorted(choose_kept(days))}

    def try_to(self, compute: Callable[["Resumption"], None]) -> bool:
        """Compute and return true; if state is lost, go back to an earlier checkpoint and return false.

        Raises:
            StateLostError: State is lost although everything was computed from the first candle on.
        """
        self.run.session.stage_anew()  # what an attempt that was given up has staged is not published
        try:
            compute(self)
        except StateLostError as lost:
            if not self.span.resumed and self.added is None:
                raise
            self.added = None
            self.held = {day: known for day, known in self.held.items() if day <= min(lost.day, self.span.since - 1)}
            self.span = plan_span(self.base, self.pasts, self.rules.lead, self.held)
            where = (
                f"resuming from the checkpoint of {day_name(self.span.since)}"
                if self.span.resumed
                else "computing the whole past again"
            )
            self.run.tell(f"{lost.found}: {where}")
            return False
        return True


def choose_start(run: SeriesRun, symbols: list[str], rules: Rules, added: Added | None = None) -> Resumption:
    """Return where a forecast run begins.

    Args:
        run: The series, in a run that holds the lease.
        symbols: All symbols with candles, ascending.
        rules: What decides results.
        added: What alone is computed; all checkpoints of what is finished are written anew then.
    """
    summary = run.summary
    base, code, held = forecast_base(run, rules), forecast_code(run, rules), read_checkpoints(summary)
    pasts = _mark(run, symbols, rules, held)
    why = ""
    if added:
        first, newest = min(past.first_day for past in pasts.values()), max(past.newest_ms for past in pasts.values())
        span = Span(first, resumed=False, saves=tuple(sorted(day for day in held if day > first)), stop_ms=newest)
        return Resumption(run, rules, pasts, base, code, {}, span, added=added)
    if summary.base and summary.base != base:
        changes = describe_changes(summary.code, code)
        why = (
            f"code, models or libraries changed ({changes})"
            if changes
            else "settings, extensions or the market's references changed"
        )
    elif summary.forecasts > len(run.list_forecasts()):
        held, why = {}, "objects are missing from the table forecasts"
    return Resumption(run, rules, pasts, base, code, held, plan_span(base, pasts, rules.lead, held), why)


def complete_summary(run: SeriesRun, symbols: list[str]) -> None:
    """Add the symbols that the summary lacks, or whose ingest did not end, from their tables; their files count as not read.

    Args:
        run: The series, in a run that holds the lease.
        symbols: All symbols with candles.
    """
    held = run.summary.symbols
    unknown = [symbol for symbol in symbols if not held.get(symbol, SymbolSummary(is_whole=False)).is_whole]
    if unknown:
        found = _look(run, unknown, (), 0)
        missing = {
            marked.symbol: replace(
                held.get(marked.symbol, SymbolSummary(is_whole=False)),
                candles=marked.candles,
                first_day=marked.first_day,
                newest_ms=marked.newest_ms,
            )
            for marked in found
        }
        run.keep(replace(run.summary, symbols=dict(sorted((run.summary.symbols | missing).items()))))


def _look(run: SeriesRun, symbols: list[str], days: tuple[int, ...], lead: int) -> list[Marked]:
    with run.stage("past", len(symbols), len(symbols)):
        known = run.summary.symbols
        begun = [symbol in known and not known[symbol].is_whole for symbol in symbols]
        tasks = [
            MarkTask(run.lake, symbol, days, lead, unfinished)
            for symbol, unfinished in zip(symbols, begun, strict=True)
        ]
        return run.session.map(mark_symbol, tasks, [0.01] * len(tasks), lambda marked: marked.symbol)


def _mark(run: SeriesRun, symbols: list[str], rules: Rules, held: dict[int, str]) -> dict[str, Marked]:
    """Return the marks from which checkpoints are judged, by symbol.

    The days are chosen from the summary. If the candles contradict it, the symbols are marked again.
    """

    def choose_days(spans: list[tuple[int, int]]) -> tuple[int, ...]:
        return select_days(min(first for first, _ in spans), [newest for _, newest in spans], rules.lead, held)

    known = run.summary.symbols
    days = choose_days([(known[symbol].first_day or 0, known[symbol].newest_ms) for symbol in symbols])
    while True:
        found = _look(run, symbols, days, rules.lead)
        wanted = choose_days([(marked.first_day, marked.newest_ms) for marked in found])
        if set(wanted).issubset(days):
            return {marked.symbol: marked for marked in found}
        days = wanted
