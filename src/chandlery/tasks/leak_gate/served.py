"""The leak gate's check of served and published forecasts: they must not depend on outcomes that were not known yet."""

from dataclasses import replace

import numpy as np

from chandlery.forecasts.blend import Served, ServedState, serve
from chandlery.forecasts.leaks import Witness, check_equal, check_served
from chandlery.grid import DAY_MS, MINUTE_MS, cut_year, year_of
from chandlery.tasks.horizon import HorizonForecasts
from chandlery.tasks.leak_gate.sampling import hash_of
from chandlery.units import to_minutes_text

__all__ = ["check_forecasts"]

FIRST_ROWS = 50_000  # rows at the start that are served again: there the states are learned from few outcomes
PUBLISHED_ROWS = 1_000  # rows before each cut whose published values are compared
OUTCOMES = ("actual_close", "error_pct")  # columns that know the outcome by their meaning


def check_forecasts(forecasts: HorizonForecasts, served: Served, states: list[ServedState]) -> None:
    """Serve some rows again while outcomes that were not known yet are hidden, and compare.

    These are the first rows, rows of a part that a hash chooses, and rows of the last part.

    Args:
        forecasts: Of one symbol and horizon.
        served: What is served for each of its rows.
        states: The state at the start of each part.

    Raises:
        LawError: A value differs.
    """
    parts = [(part, state) for part, state in zip(forecasts.parts, states, strict=True) if part.start < part.stop]
    if not parts:
        return
    drawn = hash_of(f"{forecasts.symbol}-{forecasts.horizon_minutes}", len(parts))
    first, state = parts[0]
    _check_rows(forecasts, slice(first.start, min(first.stop, first.start + FIRST_ROWS)), state, served)
    for part, state in (parts[drawn % len(parts)], parts[-1]):
        stop = part.stop - drawn % (1 + (part.stop - part.start) // 2)
        _check_rows(forecasts, slice(part.start, _stop_at_midnight(forecasts, part.start, stop)), state, served)


def _stop_at_midnight(forecasts: HorizonForecasts, start: int, stop: int) -> int:
    """Return where to stop so that the last row is the first of its day, the first that new outcomes change."""
    issued = forecasts.rows.issued
    midnight = issued[stop - 1] // DAY_MS * DAY_MS
    return max(int(np.searchsorted(issued, midnight)), start) + 1


def _check_rows(forecasts: HorizonForecasts, part: slice, state: ServedState, served: Served) -> None:
    """Compare the rows of a part, where outcomes later than the issue of its last row are hidden.

    Args:
        forecasts: Of one symbol and horizon.
        part: The rows.
        state: The state at their start.
        served: What is served for all rows.

    Raises:
        LawError: A value differs.
    """
    now, rows = int(forecasts.rows.issued[part.stop - 1]), forecasts.rows.cut(part)
    horizon_ms, at = forecasts.horizon_minutes * MINUTE_MS, to_minutes_text(forecasts.horizon_minutes)
    # Targets are computed from the horizon again, so that a wrong target_time does not hide itself.
    is_known = rows.issued + horizon_ms <= now
    pending = np.where(state.pending_issued + horizon_ms <= now, state.pending_realised, np.nan)
    known_state = state._replace(pending_realised=pending)
    again, _ = serve(known_state, replace(rows, realised=np.where(is_known, rows.realised, np.nan)))
    witness = Witness(forecasts.symbol, now)
    check_served(witness, at, served.cut(part), again)
    year = year_of(now)
    first = int(cut_year(forecasts.issues.issued_ms, year).start)
    newest = slice(-min(PUBLISHED_ROWS, is_known.size, part.stop - first), None)
    actual = np.where(is_known, forecasts.actual[part], np.nan)
    expected = forecasts.to_forecasts(forecasts.issues.cut(part).cut(newest), actual[newest], again.cut(newest))
    found = forecasts.to_year(served, year)[part.stop - first - expected.height : part.stop - first]
    names = [name for name in found.columns if name not in OUTCOMES]
    check_equal(
        witness, [(f"published {name} at {at}", found[name].to_numpy(), expected[name].to_numpy()) for name in names]
    )
