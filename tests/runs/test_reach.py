"""The reach of a lake, its longest label: which rows may train does not depend on the horizons within it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from grids import Series as Candles

from chandlery.errors import SettingsError
from chandlery.grid import Grid
from chandlery.lake.lake_file import Series
from chandlery.lake.reading import read_table
from chandlery.runs.founding import Founded, make_rules, propose, reconcile
from chandlery.settings.model import Settings, load_settings
from chandlery.units import parse_interval

pytestmark = pytest.mark.slow


def settings_of(**forecast: Any) -> Settings:
    return load_settings(None, {"forecast": forecast})


def found(interval: str, **forecast: Any) -> Series:
    return propose(settings_of(**forecast), "kraken", Grid(parse_interval(interval)), (), is_only=True).series


def go_on(series: Series, *, restate: bool = False, **forecast: Any) -> Founded:
    return reconcile(
        series, settings_of(**forecast), (), restate=restate, has_forecasts=True, describe_cost=lambda _: "all of it"
    )


@pytest.mark.parametrize(
    ("interval", "horizons", "reach"),
    [
        ("1m", ["1m", "30m"], 60),
        ("1m", ["2h"], 120),
        ("7m", ["7m"], 63),
        ("45s", ["3m"], 60),
        ("15s", ["90m"], 90),
        ("7s", ["7m"], 63),
        ("4h", ["4h", "1d"], 1_440),
        ("1d", [], 1_440),
        ("1w", ["1w"], 10_080),
    ],
)
def test_the_reach_is_the_longest_horizon_or_an_hour(interval: str, horizons: list[str], reach: int) -> None:
    file = found(interval, horizons=horizons)
    assert file.reach == reach
    assert make_rules(file, []).lead == -(-reach // 1_440)


@pytest.mark.parametrize(
    ("interval", "horizon"),
    [("1m", 30), ("7m", 35), ("60m", 60), ("1d", 1_440), ("1w", 10_080), ("45s", 30), ("7s", 35), ("4h", 240)],
)
def test_a_new_lake_without_horizons_gets_the_next_multiple_of_half_an_hour(interval: str, horizon: int) -> None:
    assert found(interval).horizons == [horizon]
    assert go_on(found(interval)).series.horizons == [horizon]
    assert go_on(found("1m", horizons=["1m"]), horizons=[]).series.horizons == [1]


def test_a_horizon_that_is_no_multiple_is_refused_with_one_that_is() -> None:
    with pytest.raises(SettingsError, match=r"horizon 1m with candles of 45s; .*set 3m, for example"):
        found("45s", horizons=["1m"])
    with pytest.raises(SettingsError, match=r"horizon 30m with candles of 7m; .*set 35m, for example"):
        found("7m", horizons=["30m"])


@pytest.mark.parametrize("text", ["1mo", "1M", "3 months"])
def test_months_are_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="months differ in length"):
        settings_of(horizons=[text])
    with pytest.raises(SettingsError, match="months differ in length"):
        load_settings(None, {"source": {"layout": [{"interval": text}]}})


def test_the_reach_stays_until_horizons_are_restated() -> None:
    file = found("1m", horizons=["1m"])
    with pytest.raises(SettingsError, match=r"horizons \[120m\] instead of \[1m\]"):
        go_on(file, horizons=["2h"])
    assert go_on(file, horizons=["2h"], restate=True).series.reach == 120
    assert go_on(file, seed=3, restate=True).series.reach == 60


def test_another_horizon_within_the_reach_changes_no_training_row(tmp_path: Path) -> None:
    series = Candles("7m", 420, datetime(2019, 1, 1, 0, 3, tzinfo=UTC), 20_000, quiet=(9_000, 9_060))
    series.write(tmp_path / "raw", "a", 0, series.count)
    lakes = {"one": ["7m"], "two": ["7m", "63m"]}
    held, forecasts = [], []
    for name, horizons in lakes.items():
        series.run(tmp_path / "raw", tmp_path / name, horizons=horizons, models=["linear", "tree"], min_train="30d")
        models = read_table(str(tmp_path / name), "models").filter(pl.col("horizon_minutes") == 7)
        held.append(models.select("model", "refit_at", "trained_until", "rows"))
        forecasts.append(read_table(str(tmp_path / name), "forecasts", horizon_minutes=7))
    assert held[0].height > 2
    assert held[0].equals(held[1])
    names = ["issued_at", "close", "predicted_close", "served_by", "predicted_linear", "predicted_tree", "lower_95"]
    assert forecasts[0].select(names).equals(forecasts[1].select(names))
