"""Features that keep to the past raise no alarm, with one worker and with two, and give the same bytes."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from lakes import digests, run_lake
from planted_extensions import write_features

from chandlery import engines
from chandlery.errors import LawError
from chandlery.lake.reading import read_table

pytestmark = pytest.mark.slow

WINDOWS = "from_last = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(29, np.nan), {of}]), 30); "
CLOSES, VOLUMES, RETURNS = (
    WINDOWS.format(of=of) for of in ("bars.close", "bars.volume", "np.append(np.nan, np.diff(np.log(bars.close)))")
)
HONEST = {
    "lag_of_close": "return np.append(np.full(7, np.nan), bars.close[:-7])",
    "past_return": "log = np.log(bars.close); return np.append(np.full(7, np.nan), log[7:] - log[:-7])",
    "acceleration": "log = np.log(bars.close); return np.append([np.nan, np.nan], log[2:] - 2 * log[1:-1] + log[:-2])",
    "trailing_mean": CLOSES + "return bars.close / from_last.mean(axis=1)",
    "trailing_mean_by_sums": (
        "total = np.append(np.zeros(20), np.cumsum(np.nan_to_num(bars.close))); return (total[20:] - total[:-20]) / 20"
    ),
    "trailing_deviation": CLOSES + "return from_last.std(axis=1)",
    "deviation_from_mean": CLOSES + "return (bars.close - from_last.mean(axis=1)) / (1e-9 + from_last.std(axis=1))",
    "trailing_volume": "return np.convolve(bars.volume, np.ones(5) / 5)[: bars.volume.size]",
    "exponential_mean": (
        "w = 0.8 ** np.arange(31); return np.convolve(np.nan_to_num(bars.close), w / w.sum())[: bars.close.size]"
    ),
    "highest_of_window": CLOSES + "return from_last.max(axis=1) / bars.close",
    "lowest_of_window": CLOSES + "return from_last.min(axis=1) / bars.close",
    "place_in_window": (
        CLOSES
        + "low, high = from_last.min(axis=1), from_last.max(axis=1); return (bars.close - low) / (1e-9 + high - low)"
    ),
    "rank_in_window": CLOSES + "return (from_last < bars.close[:, None]).sum(axis=1)",
    "median_of_window": CLOSES + "return bars.close / np.median(from_last, axis=1)",
    "realised_variance": RETURNS + "return (from_last**2).sum(axis=1)",
    "downside": RETURNS + "return np.minimum(from_last, 0).sum(axis=1)",
    "trades_of_window": "return np.convolve(bars.traded.astype(float), np.ones(30))[: bars.traded.size]",
    "volume_against_mean": VOLUMES + "return bars.volume / (1e-9 + from_last.mean(axis=1))",
    "steps_since_trade": (
        "n = np.arange(bars.close.size); "
        "return np.minimum(n - np.maximum.accumulate(np.where(bars.traded, n, -30)), 30)"
    ),
    "range_of_candle": "return (bars.high - bars.low) / bars.close",
    "body_of_candle": "return np.sign(bars.close - bars.open) * np.log1p(bars.volume)",
    "carried_from_large_trades": (
        "n = np.arange(bars.close.size); at = np.maximum.accumulate(np.where(bars.volume > 5, n, -1)); "
        "return np.where((at >= 0) & (n - at <= 20), bars.close[at] / bars.close, 1.0)"
    ),
}


@pytest.fixture(scope="module")
def seen() -> dict[int, dict[str, str]]:
    return {}


@pytest.mark.parametrize("workers", [1, 2])
def test_honest_features_pass(
    raw: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    seen: dict[int, dict[str, str]],
    workers: int,
) -> None:
    monkeypatch.setattr(engines, "LocalEngine", partial(engines.LocalEngine, worth_a_process=0.0))
    bodies, alarms = dict(HONEST), []
    while True:
        lake = tmp_path / f"lake{len(alarms)}"
        try:
            run_lake(raw, lake, workers=workers, extensions=[write_features(raw.parent, bodies)])
        except LawError as error:
            alarms.append(re.findall(r"feature (\w+) of", str(error))[0])
            del bodies[alarms[-1]]
        else:
            break
    record_property("features", len(HONEST))
    record_property("false_alarms", len(alarms))
    assert alarms == []
    assert read_table(str(lake), "models")["features"][0].to_list()[-len(HONEST) :] == list(HONEST)
    seen[workers] = digests(lake)
    assert all(found == seen[workers] for found in seen.values())
