"""What decides results stands in lake.json: kept where it is not given, changed by `--restate` alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from hours import SETTINGS, Lake, make_settings, start_lake

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options, forecast, ingest, plan, run

pytestmark = pytest.mark.slow

RESTATE = Options(restate=True)
OWN = """from chandlery import feature

@feature("{name}", unit="price", window="1", lookback=1)
def {name}(bars):
    return bars.high - bars.low
"""
OTHERS: list[tuple[str, Any, tuple[str, str]]] = [
    ("horizons", ["1h"], ("[60m]", "[60m, 240m]")),
    ("horizons", ["1h", "8h"], ("[60m, 480m]", "[60m, 240m]")),
    ("models", ["tree"], ("[tree]", "[linear]")),
    ("references", ["BTCUSD"], ("references [BTCUSD]", "[BTCUSD, ETHUSD, XRPUSD")),
    ("min_train", "75d", ("75d", "60d")),
    ("seed", 3, ("seed 3", "0")),
]


def read_file(lake: Lake) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((lake.folder / "lake.json").read_text())["series"][0]
    return found


@pytest.mark.parametrize("stage", [run, ingest, forecast])
@pytest.mark.parametrize(("name", "value", "texts"), OTHERS)
def test_another_value_stops_the_run_and_writes_nothing(
    start: Lake, name: str, value: Any, texts: tuple[str, str], stage: Any
) -> None:
    before = start.objects()
    with pytest.raises(SettingsError) as caught:
        start.bring(stage, forecast={**SETTINGS, name: value})
    assert caught.value.exit_code == 2
    assert all(text in str(caught.value) for text in (name, *texts, "instead of", "--restate: ", "CPU-s"))
    assert start.objects() == before


@pytest.mark.parametrize(("name", "value", "texts"), OTHERS)
def test_a_restated_lake_has_the_bytes_of_a_new_one(
    tmp_path: Path, name: str, value: Any, texts: tuple[str, str]
) -> None:
    lake = start_lake(tmp_path)
    now = {**SETTINGS, name: value}
    report = lake.bring(options=RESTATE, forecast=now)
    assert any(f"the lake now has {name}" in note and texts[1] in note for note in report.notes)
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast=now)
    assert lake.bring(forecast={}).run_id is None


def test_restating_to_the_first_value_restores_every_byte(tmp_path: Path) -> None:
    lake = start_lake(tmp_path, forecast={**SETTINGS, "models": ["linear", "tree"]})
    less = {**SETTINGS, "horizons": ["4h"]}
    lake.bring(options=RESTATE, forecast=less)
    forecasts = read_table(str(lake.folder), "forecasts")
    assert set(forecasts["horizon_minutes"].unique()) == {240}
    assert "predicted_tree" not in forecasts.columns
    assert "tree" not in set(read_table(str(lake.folder), "scores")["model"])
    assert set(read_table(str(lake.folder), "scores")["horizon_minutes"]) == {240}
    assert set(read_table(str(lake.folder), "models")["model"]) == {"linear"}
    assert not lake.compare_with_rebuild(tmp_path / "less", forecast=less)
    lake.bring(options=RESTATE)
    assert not lake.compare_with_rebuild(tmp_path / "more")


def test_what_is_not_given_is_taken_from_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from another folder, where there is no settings file."""
    extension = tmp_path / "own.py"
    extension.write_text(OWN.format(name="span"))
    given = {**SETTINGS, "seed": 5, "references": ["ETHUSD"], "extensions": [str(extension)]}
    lake = start_lake(tmp_path, forecast=given, source={"exchange": "kraken"})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    before = lake.objects()
    assert lake.bring(forecast={}, source={}).run_id is None
    assert lake.objects() == before
    lake.put("BTCUSD", 110, 115)
    lake.put("ETHUSD", 110, 115)
    lake.bring(forecast={}, source={})
    assert not lake.compare_with_rebuild(tmp_path / "new")


def test_equal_values_in_other_words_are_no_change(start: Lake) -> None:
    same = {"horizons": ["240m", "60m", "1h"], "models": ["linear"], "min_train": "1440h", "seed": 0}
    before = start.objects()
    assert start.bring(forecast=same).run_id is None
    assert start.objects() == before


def test_all_differences_are_named_at_once(start: Lake) -> None:
    with pytest.raises(SettingsError, match=r"horizons .*; min_train .*; seed "):
        start.bring(forecast={**SETTINGS, "horizons": ["2h"], "min_train": "61d", "seed": 9})


@pytest.mark.parametrize("options", [Options(), RESTATE])
def test_candles_without_an_exchange_do_not_come_a_second_time_under_its_name(start: Lake, options: Options) -> None:
    before = start.objects()
    with pytest.raises(SettingsError, match=r"exchange kraken for .* no named exchange.*migrate --exchange kraken"):
        start.bring(options=options, source={"exchange": "kraken"})
    assert start.objects() == before


@pytest.mark.parametrize("stage", [run, plan])
def test_a_restatement_to_something_impossible_writes_nothing(start: Lake, stage: Any) -> None:
    before = start.objects()
    for bad in ({"horizons": ["90m"]}, {"models": ["linear", "oracle"]}):
        with pytest.raises(SettingsError, match=r"multiple of the interval|one of "):
            stage(make_settings(start.raw, start.folder, {**SETTINGS, **bad}), RESTATE)
    assert start.objects() == before


def test_restating_what_is_equal_computes_nothing(start: Lake) -> None:
    before = start.objects()
    assert start.bring(options=RESTATE).run_id is None
    assert start.objects() == before


def test_an_ingest_restates_and_the_next_forecast_computes(tmp_path: Path) -> None:
    lake = start_lake(tmp_path)
    now = {**SETTINGS, "horizons": ["4h"]}
    lake.bring(ingest, RESTATE, forecast=now)
    assert read_file(lake)["horizons"] == [240]
    lake.bring(forecast, forecast={})
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast=now)


@pytest.mark.parametrize(
    "now",
    [
        {"models": ["tree", "linear"]},
        {"models": ["linear"]},
        {"models": ["tree"]},
        {"horizons": ["4h"]},
        {"horizons": ["1h", "4h", "8h"]},
    ],
)
def test_a_restatement_of_one_symbol_leaves_no_wrong_score(tmp_path: Path, now: dict[str, Any]) -> None:
    both = {**SETTINGS, "models": ["linear", "tree"]}
    lake = start_lake(tmp_path, forecast=both)
    before = read_table(str(lake.folder), "scores").filter(symbol="ETHUSD")
    lake.bring(options=RESTATE, forecast={**both, **now}, symbols=("BTCUSD",))
    after = read_table(str(lake.folder), "scores").filter(symbol="ETHUSD")
    keys = ["horizon_minutes", "model", "period"]
    assert after.height
    assert after.join(before, on=[*keys, "n", "sse", "mae"], how="anti", nulls_equal=True).is_empty()
    lake.bring(forecast={})
    assert not lake.compare_with_rebuild(tmp_path / "new", forecast={**both, **now})


def test_a_killed_restatement_goes_on_without_being_asked_for_again(tmp_path: Path) -> None:
    lake = start_lake(tmp_path)
    now = {**SETTINGS, "horizons": ["4h"]}
    lake.bring(options=RESTATE, forecast=now)
    wanted = (lake.folder / "lake.json").read_bytes()
    other = start_lake(tmp_path / "other")
    (other.folder / "lake.json").write_bytes(wanted)  # all that a run had written when it was killed
    other.bring(forecast={})
    assert not other.compare_with_rebuild(tmp_path / "new", forecast=now)


FAULTS: list[tuple[str, Any]] = [
    ("horizons", []), ("horizons", [0]), ("horizons", [90]), ("horizons", [240, 60]), ("horizons", [2**70]),
    ("models", []), ("models", ["linear", "linear"]), ("seed", -1), ("seed", 2**80), ("min_train", ""),
    ("interval", "7x"), ("exchange", "../x"), ("exchange", ""), ("offset", -1), ("offset", 3_600), ("reach", 60),
    ("reach", 250),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), FAULTS)
def test_a_value_that_no_run_can_have_written_is_refused(start: Lake, name: str, value: Any) -> None:
    held = (start.folder / "lake.json").read_text()
    file = json.loads(held)
    (start.folder / "lake.json").write_text(json.dumps({**file, "series": [{**file["series"][0], name: value}]}))
    before = start.objects()
    with pytest.raises(SettingsError, match=rf"lake\.json at .*: {name}"):
        start.bring(forecast={})
    assert start.objects() == before
    (start.folder / "lake.json").write_text(held)


def test_a_model_that_is_named_twice_is_one(tmp_path: Path) -> None:
    lake = start_lake(tmp_path, forecast={**SETTINGS, "models": ["linear", "linear"]})
    assert read_file(lake)["models"] == ["linear"]


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 2, "series": [], "shade": 1}', "\xff"])
def test_another_file_of_that_name_is_refused(start: Lake, text: str) -> None:
    (start.folder / "lake.json").write_text(text, encoding="latin-1")
    before = start.objects()
    with pytest.raises(SettingsError, match=r"lake\.json"):
        start.bring()
    assert start.objects() == before
