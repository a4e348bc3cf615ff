"""Where a computation of forecasts begins: at a checkpoint, or at the first candle.

It is the newest valid checkpoint, or an earlier one if state turns out to be lost.
"""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from chandlery.errors import StateLostError
from chandlery.extensions import open_models
from chandlery.grid import DAY_MS
from chandlery.runs.estimates import seconds_per_day
from chandlery.runs.founding import make_rules
from chandlery.runs.session import SeriesRun, Years
from chandlery.state.checkpoints import Marked, Span, choose_kept, combine_marks, plan_span, select_days
from chandlery.state.fingerprints import FORECAST_STAGES, describe_changes, fingerprint, name_code
from chandlery.state.paths import day_name, parse_day
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
    """Return whether forecasts are up to date with the candles; they are if there are no candles.

    Args:
        run: The series.
        years: The years with candles, by symbol.
    """
    summary = run.summary
    if not years:
        return True
    if summary.forecast != candles_fingerprint(summary):
        return False
    return summary.base == forecast_base(run, make_rules(run.series, sorted(years)))


def read_checkpoints(summary: SeriesSummary) -> dict[int, str]:
    """Return the fingerprints of the checkpoints, by day since 1970."""
    return {parse_day(name): mark for name, mark in summary.checkpoints.items()}


@dataclass
class Resumption:
    """Where a computation of forecasts begins; it moves back if state turns out to be lost.

    Args:
        run: The series.
        rules: The settings that decide results.
        pasts: Hashes of each symbol's candles up to each checkpoint, by symbol: they decide which ones are valid.
        base: From `forecast_base`.
        code: From `forecast_code`.
        checkpoints: Fingerprints of the stored checkpoints, by day since 1970.
        span: The time span to compute.
        why: Why everything is computed again; empty if it is not.
        added: The horizons and models that alone are computed, from the first candle on; None for all of them.
    """

    run: SeriesRun
    rules: Rules
    pasts: dict[str, Marked]
    base: str
    code: dict[str, str]
    checkpoints: dict[int, str]
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
            day_name(day): mark
            for day, mark in self.checkpoints.items()
            if self.span.resumed and day <= self.span.since
        }

    def all_checkpoints(self) -> dict[str, str]:
        """Return the checkpoints to keep after the computation, by name of the day."""
        written = {day_name(day): combine_marks(self.base, self.pasts, day) for day in self.span.saves}
        valid = self.still_valid | written
        days = {parse_day(name): name for name in valid}
        return {days[day]: valid[days[day]] for day in sorted(choose_kept(days))}

    def try_to(self, compute: Callable[["Resumption"], None]) -> bool:
        """Compute and return true; if state is lost, go back to an earlier checkpoint and return false.

        Raises:
            StateLostError: State is lost although everything was computed from the first candle on.
        """
        self.run.session.start_staging()  # so that objects staged by an abandoned attempt are not published
        try:
            compute(self)
        except StateLostError as lost:
            if not self.span.resumed and self.added is None:
                raise
            self.added = None
            newest = min(lost.day, self.span.since - 1)
            self.checkpoints = {day: mark for day, mark in self.checkpoints.items() if day <= newest}
            self.span = plan_span(self.base, self.pasts, self.rules.lead, self.checkpoints)
            where = (
                f"resuming from the checkpoint of {day_name(self.span.since)}"
                if self.span.resumed
                else "computing the whole past again"
            )
            self.run.note(f"{lost.found}: {where}")
            return False
        return True


def choose_start(run: SeriesRun, symbols: list[str], rules: Rules, added: Added | None = None) -> Resumption:
    """Return where a computation of forecasts begins.

    Args:
        run: The series, in a run that holds the lease.
        symbols: All symbols with candles, ascending.
        rules: The settings that decide results.
        added: The horizons and models that alone are computed: all existing checkpoints are then written again, with
            their state added.
    """
    summary = run.summary
    base, code, checkpoints = forecast_base(run, rules), forecast_code(run, rules), read_checkpoints(summary)
    pasts = _mark(run, symbols, rules, checkpoints)
    why = ""
    if added:
        first, newest = min(past.first_day for past in pasts.values()), max(past.newest_ms for past in pasts.values())
        saves = tuple(sorted(day for day in checkpoints if day > first))
        span = Span(first, resumed=False, saves=saves, stop_ms=newest)
        return Resumption(run, rules, pasts, base, code, {}, span, added=added)
    if summary.base and summary.base != base:
        changes = describe_changes(summary.code, code)
        why = (
            f"code, models or libraries changed ({changes})"
            if changes
            else "settings, extensions or the market's references changed"
        )
    elif summary.forecasts > len(run.list_forecasts()):
        checkpoints, why = {}, "objects are missing from the table forecasts"
    span = plan_span(base, pasts, rules.lead, checkpoints)
    return Resumption(run, rules, pasts, base, code, checkpoints, span, why)


def complete_summary(run: SeriesRun, symbols: list[str]) -> None:
    """Add symbols to the summary, from their tables, that it lacks or whose ingest was interrupted.

    They stay marked as not ingested, so that the next ingest reads their files.

    Args:
        run: The series, in a run that holds the lease.
        symbols: All symbols with candles.
    """
    known, nothing = run.summary.symbols, SymbolSummary(is_whole=False)
    incomplete = [symbol for symbol in symbols if not known.get(symbol, nothing).is_whole]
    if not incomplete:
        return
    completed = {
        marked.symbol: replace(
            known.get(marked.symbol, nothing),
            candles=marked.candles,
            first_day=marked.first_day,
            newest_ms=marked.newest_ms,
        )
        for marked in _mark_symbols(run, incomplete, (), 0)
    }
    run.store_summary(replace(run.summary, symbols=dict(sorted((known | completed).items()))))


def _mark_symbols(run: SeriesRun, symbols: list[str], days: tuple[int, ...], lead: int) -> list[Marked]:
    """Hash the candles of symbols up to some days, with one task per symbol."""
    with run.stage("past", len(symbols), len(symbols)):
        known = run.summary.symbols
        interrupted = {symbol for symbol in symbols if symbol in known and not known[symbol].is_whole}
        tasks = [MarkTask(run.lake, symbol, days, lead, symbol in interrupted) for symbol in symbols]
        return run.session.map(mark_symbol, tasks, [0.01] * len(tasks), lambda marked: marked.symbol)


def _mark(run: SeriesRun, symbols: list[str], rules: Rules, checkpoints: dict[int, str]) -> dict[str, Marked]:
    """Hash the candles of symbols up to the days of checkpoints, and up to the days of those that may be written.

    The days are chosen from the summary. If the candles contradict it, the symbols are hashed again.
    """

    def choose_days(spans: list[tuple[int, int]]) -> tuple[int, ...]:
        return select_days(min(first for first, _ in spans), [newest for _, newest in spans], rules.lead, checkpoints)

    known = run.summary.symbols
    days = choose_days([(known[symbol].first_day or 0, known[symbol].newest_ms) for symbol in symbols])
    while True:
        pasts = _mark_symbols(run, symbols, days, rules.lead)
        wanted = choose_days([(marked.first_day, marked.newest_ms) for marked in pasts])
        if set(wanted).issubset(days):
            return {marked.symbol: marked for marked in pasts}
        days = wanted
