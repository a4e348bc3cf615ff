"""The period of a comparison: which candles both runs take, and which forecasts are scored.

candles_from        scored_from                     stop
│  min_train, warm-up, reach  │  forecasts scored  │
├─────────────────────────────┼────────────────────┤
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from chandlery.errors import SettingsError
from chandlery.features.run import warm_up_steps
from chandlery.grid import DAY_MINUTES, DAY_SECONDS, MINUTE_SECONDS, Grid
from chandlery.lake.extents import measure_table
from chandlery.lake.handle import Lake
from chandlery.settings.model import Settings
from chandlery.state.paths import day_name, parse_day
from chandlery.tasks.work import months_between
from chandlery.units import parse_minutes

__all__ = ["Period", "describe_shortfall", "find_period", "refuse_period"]

WARM_DAYS = 30  # of forecasts before the scored ones: calibration, weights and the floor need a past to learn from


@dataclass(frozen=True)
class Period:
    """The days of a comparison, counted from 1970-01-01 UTC.

    Args:
        candles_from: The first day of the candles that are taken.
        scored_from: The first day that is scored, if there are forecasts by then.
        stop: The day after the last.
        asked_from: The first day that was asked for.
        needed_from: The first day of candles that scoring from `asked_from` on needs.
    """

    candles_from: int
    scored_from: int
    stop: int
    asked_from: int
    needed_from: int


def find_period(lake: Lake, settings: Settings, days: int, until: dt.date | None, horizons: list[int]) -> Period:
    """Return which candles are taken and which forecasts are scored.

    Args:
        lake: The lake whose candles are taken.
        settings: Those of both runs.
        days: How many days are asked for.
        until: The last of them; without it, the newest of the lake.
        horizons: In minutes.

    Raises:
        SettingsError: The lake has no candles, or too few to fit on.
    """
    extent = measure_table(lake.store, "candles", lake.keys)
    if extent.first is None or extent.last is None:
        found = f"no candles of {lake.series.name} in {settings.lake.uri}"
        raise SettingsError(found, "a lake with candles", "run `chandlery ingest` first")
    first, stop = find_day(lake.grid, extent.first), find_day(lake.grid, extent.last) + 1
    if until is not None:
        stop = min(stop, number_day(until) + 1)
    history = -(-parse_minutes(settings.forecast.min_train) // DAY_MINUTES)
    asked = stop - days
    month_of_fit = np.datetime64(asked - WARM_DAYS, "D").astype("datetime64[M]")  # models are fitted on its first day
    fitted = int(month_of_fit.astype("datetime64[D]").astype(int))
    wait = (lake.grid.seconds - 1) // DAY_SECONDS  # a candle of more than a day closes so many days later, at most
    needed = fitted - history - wait - _count_untrained_days(lake, horizons)
    candles_from = max(first, needed)
    months = months_between(candles_from + history, stop - 1)
    if not months:
        due = find_next_fit(first + history)
        raise SettingsError(
            f"{max(stop - first, 0):,} days of candles, {day_name(first)} to {day_name(stop - 1)}",
            f"at least {due - first + 1:,}: models are first fitted on {day_name(due)}, the first month that begins "
            f"after min_train, {history} days",
            "add candles, choose a later --until, or lower [forecast] min_train",
        )
    first_fit = parse_day(months[0])
    return Period(candles_from, max(asked, first_fit), stop, asked, needed)


def _count_untrained_days(lake: Lake, horizons: list[int]) -> int:
    """Return how many days of candles no model learns from: the first ones of a symbol, and the newest.

    The first candles of a symbol give no rows, and a row is learned from once its longest label, at the reach of the
    series, is known.
    """
    reach = max(lake.series.reach, *horizons) * MINUTE_SECONDS
    return -(-(warm_up_steps(lake.grid) * lake.grid.seconds + reach) // DAY_SECONDS)


def refuse_period(lake: Lake, period: Period) -> SettingsError:
    """Return the error for a period without a forecast whose outcome is known."""
    found = (
        f"no forecast of {lake.series.name} whose outcome is known, {day_name(period.asked_from)} to "
        f"{day_name(period.stop - 1)}, from candles since {day_name(period.candles_from)}"
    )
    if period.candles_from <= period.needed_from:
        return SettingsError(found, "at least one", "choose more --days, other --until, or another --symbol")
    expected = f"candles since {day_name(period.needed_from)} to score all of these days: {_explain_wait(lake)}"
    return SettingsError(found, expected, "add older candles, choose a later --until, or lower [forecast] min_train")


def describe_shortfall(lake: Lake, period: Period, scored_from: dt.datetime) -> list[str]:
    """Return a sentence on how many days were scored, where these are fewer than were asked for.

    Args:
        lake: The lake whose candles were taken.
        period: The period.
        scored_from: When the first forecast that was scored was issued.
    """
    step = -(-lake.grid.seconds // DAY_SECONDS)
    first = number_day(scored_from)
    if first - period.asked_from <= step:  # the first candle of the period closes within one step
        return []
    scored, asked = period.stop - first, period.stop - period.asked_from
    note = f"{scored:,} days are scored, from {scored_from:%Y-%m-%d} on, of {asked:,}"
    if period.candles_from <= period.needed_from:
        return [f"{note}: there are no forecasts of the others."]
    candles = f"the candles taken begin on {day_name(period.candles_from)}, and the others need them since"
    why = _explain_wait(lake)
    return [f"{note}: {candles} {day_name(period.needed_from)}. {why[0].upper()}{why[1:]}."]


def _explain_wait(lake: Lake) -> str:
    """Return why the first candles have no forecasts."""
    return (
        f"the first {warm_up_steps(lake.grid):,} candles of a symbol are neither learned from nor forecast, and models "
        "are first fitted in a month that begins after min_train"
    )


def number_day(moment: dt.date) -> int:
    """Return the UTC day of a date or a moment, counted from 1970.

    Example:
        >>> number_day(dt.date(2020, 1, 1)), number_day(dt.datetime(2020, 1, 1, 23, 59, tzinfo=dt.UTC))
        (18262, 18262)
    """
    return (dt.date(moment.year, moment.month, moment.day) - dt.date(1970, 1, 1)).days


def find_day(grid: Grid, opened: dt.datetime) -> int:
    """Return the UTC day, counted from 1970, on which a candle closes that opens at a moment."""
    return grid.days_of(grid.steps_of(round(opened.timestamp() * 1_000)))


def find_next_fit(day: int) -> int:
    """Return the first day of a month that is no earlier than a day, counted from 1970.

    Example:
        >>> day_name(find_next_fit(18262)), day_name(find_next_fit(18263))
        ('2020-01-01', '2020-02-01')
    """
    return parse_day(months_between(day, day + 31)[0])
