"""What `plan` says beforehand is what `run` does then: the same stages, and the same symbols to ingest."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hours import LAST_DAY, SETTINGS, Lake, make_settings

from chandlery.progress import Silent
from chandlery.runs.pipeline import Options, ingest, plan
from chandlery.runs.session import Session
from chandlery.runs.survey import survey_source

pytestmark = pytest.mark.slow

Change = Callable[[Lake], dict[str, Any] | None]
DECIDING = {"gaps", "forecast"}
BTC, ETH = "btcusd_000.csv", "ethusd_000.csv"


def nothing(lake: Lake) -> None:
    del lake


def append(lake: Lake) -> None:
    lake.put("BTCUSD", LAST_DAY, 112)


def append_all(lake: Lake) -> None:
    lake.put("BTCUSD", LAST_DAY, 112)
    lake.put("ETHUSD", LAST_DAY, 112)


def late_file(lake: Lake) -> None:
    lake.put("LTCUSD", 40, 60)


def restated_file(lake: Lake) -> None:
    lake.put("ETHUSD", 1, LAST_DAY, revision=1, name=ETH)


def removed_file(lake: Lake) -> None:
    lake.source.remove(ETH)


def pruned_file(lake: Lake) -> dict[str, Any]:
    lake.source.remove(ETH)
    lake.bring()
    return {"options": Options(prune=True)}


def forecasts_to_prune(lake: Lake) -> dict[str, Any]:
    lake.source.remove(ETH)
    lake.bring(ingest, Options(prune=True))
    lake.bring()
    return {"options": Options(prune=True)}


def only_ingested(lake: Lake) -> None:
    append_all(lake)
    lake.bring(ingest)


def restated_horizons(lake: Lake) -> dict[str, Any]:
    del lake
    return {"options": Options(restate=True), "forecast": {**SETTINGS, "horizons": ["4h"]}}


def other_layout(lake: Lake) -> dict[str, Any]:
    del lake
    columns = ["time", "close", "open", "high", "low", "volume"]
    return {"options": Options(restate=True), "source": {"layout": [{"files": BTC, "columns": columns}]}}


def other_exchange_not_given(lake: Lake) -> dict[str, Any]:
    del lake
    return {"forecast": {}, "source": {}}


def lost_state(lake: Lake) -> None:
    shutil.rmtree(lake.folder / "state")


def lost_summary(lake: Lake) -> None:
    (lake.folder / "state" / "summary.json").unlink()


def lost_candles(lake: Lake) -> None:
    next(lake.folder.glob("candles/*/*/symbol=BTCUSD/year=2018/*.parquet")).unlink()


def lost_forecast(lake: Lake) -> None:
    append_all(lake)
    next(lake.folder.glob("forecasts/*/*/symbol=BTCUSD/*/year=2019/*.parquet")).unlink()


def one_symbol(lake: Lake) -> None:
    append_all(lake)
    lake.bring(symbols=("BTCUSD",))


def refused_before(lake: Lake) -> dict[str, Any]:
    """A version that was refused for its many bad rows is read again once more of them are allowed."""
    candles = pl.read_csv(lake.raw / ETH)
    candles.with_columns(high=pl.when(pl.int_range(pl.len()) > 2_000).then(pl.col("high")).otherwise(-1.0)).write_csv(
        lake.raw / ETH
    )
    os.utime(lake.raw / ETH, (1_700_000_000, 1_700_000_000))
    lake.bring()
    return {"source": {"max_rejected_share": 1.0}}


CHANGES: list[Change] = [
    nothing, append, append_all, late_file, restated_file, pruned_file, forecasts_to_prune, only_ingested,
    restated_horizons, other_layout, other_exchange_not_given, lost_forecast, one_symbol, removed_file, refused_before,
]  # fmt: skip
POSSIBLE: list[Change] = [
    lost_state,
    lost_summary,
    lost_candles,
]  # of which a plan cannot know that bytes will be equal


def look(lake: Lake, settings: dict[str, Any]) -> tuple[set[str], set[str], set[str], set[str]]:
    """Return the stages that are planned and done, and the symbols whose ingest is planned and done."""
    options = settings.pop("options", Options())
    before = lake.objects()
    planned = plan(make_settings(lake.raw, lake.folder, **settings), options)
    assert lake.objects() == before
    ingested = {step.symbol for step in planned.steps if step.stage == "ingest"}
    taken = Session(make_settings(lake.raw, lake.folder, **settings), options, Silent())
    pending = {pair.symbol for pair in survey_source(taken).pending()}
    report = lake.bring(options=options, **settings)
    done = {stage.name for stage in report.stages if stage.computed}
    return {step.stage for step in planned.steps}, done & {"ingest", "gaps", "forecast"}, ingested, pending


@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_is_what_a_run_does(start: Lake, change: Change) -> None:
    planned, done, ingested, pending = look(start, change(start) or {})
    assert planned == done
    assert ingested == pending


@pytest.mark.parametrize("change", POSSIBLE)
def test_a_plan_names_all_that_a_run_does(start: Lake, change: Change) -> None:
    planned, done, ingested, pending = look(start, change(start) or {})
    assert planned >= done
    assert planned
    assert ingested == pending


@pytest.mark.parametrize("change", [*CHANGES, *POSSIBLE])
def test_after_a_run_nothing_is_planned(start: Lake, change: Change) -> None:
    settings = change(start) or {}
    start.bring(**settings)
    options = settings.pop("options", Options())
    assert plan(make_settings(start.raw, start.folder, **settings), options).steps == []


@pytest.mark.parametrize("upload", [b"", b"nothing of use"])
def test_a_plan_of_a_bad_upload_names_the_ingest(start: Lake, upload: bytes) -> None:
    (start.raw / BTC).write_bytes(upload)
    os.utime(start.raw / BTC, (1_700_000_000, 1_700_000_000))
    planned, done, ingested, pending = look(start, {})
    assert planned >= done
    assert ingested == pending == {"BTCUSD"}
    assert plan(make_settings(start.raw, start.folder)).steps == []


def test_a_plan_of_a_new_lake_names_every_stage(start: Lake) -> None:
    steps = plan(make_settings(start.raw, start.folder.parent / "new")).steps
    assert [(step.stage, step.symbol) for step in steps] == [
        ("ingest", "BTCUSD"), ("ingest", "ETHUSD"), ("gaps", "all"), ("forecast", "all"),
    ]  # fmt: skip
    assert not (start.folder.parent / "new").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (append_all, "an append"),
        (restated_file, "a restatement"),
        (late_file, "a restatement"),
        (restated_horizons, "a restatement"),
        (lost_candles, "a restatement"),
    ],
)
def test_a_plan_says_what_kind_of_run_it_is(start: Lake, change: Change, text: str) -> None:
    settings = change(start) or {}
    options = settings.pop("options", Options())
    steps = plan(make_settings(start.raw, start.folder, **settings), options).steps
    (why,) = [step.why for step in steps if step.stage == "forecast"]
    assert text in why


def test_a_plan_after_state_is_lost_says_so(start: Lake) -> None:
    lost_state(start)
    steps = plan(make_settings(start.raw, start.folder)).steps
    assert {step.why for step in steps if step.stage in {"ingest", "forecast"}} == {
        "state is missing, damaged, of another version or older than the tables"
    }


def write_one_row(lake: Lake) -> None:
    """Upload a file of a symbol whose one row fits no candle of its other files."""
    (lake.raw / "btcusd_one.csv").write_text("time,open,high,low,close,volume\n1551398461000,1,1,1,1,1\n")


def test_a_plan_with_a_refused_file_beside_others_promises_no_more_than_the_refusal(start: Lake) -> None:
    write_one_row(start)
    steps = plan(make_settings(start.raw, start.folder)).steps
    assert [(step.stage, step.symbol, step.what, step.why) for step in steps] == [
        ("ingest", "BTCUSD", "read no file", "other files of it, or settings of [source], changed: its candles stay"),
        ("ingest", "BTCUSD", "refuse 1 file", "their interval is open"),
    ]
    assert not DECIDING & {stage.name for stage in start.bring().stages if stage.computed}


def test_a_plan_after_a_change_of_layout_has_one_line_a_series(start: Lake) -> None:
    other = {"layout": [{"files": "*.csv", "columns": ["time", "open", "close", "high", "low", "volume"]}]}
    steps = plan(make_settings(start.raw, start.folder, source=other)).steps
    assert [(step.stage, step.symbol, step.what) for step in steps] == [("ingest", "BTCUSD, ETHUSD", "read no file")]
    assert not DECIDING & {stage.name for stage in start.bring(source=other).stages if stage.computed}


def test_a_plan_says_that_the_candles_of_a_file_that_is_gone_stay(start: Lake) -> None:
    removed_file(start)
    (step,) = plan(make_settings(start.raw, start.folder)).steps
    assert (step.symbol, step.what, step.why) == ("ETHUSD", "read 0 of 0 files", "1 file gone: its candles stay")
