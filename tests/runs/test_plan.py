"""What `plan` says beforehand is what `run` does then: the same stages, and the same symbols to ingest."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from hours import LAST_DAY, SETTINGS, Lake, make_settings

from chandlery.pipeline import Options, ingest, plan
from chandlery.progress import Silent
from chandlery.session import Session
from chandlery.survey import survey_source

pytestmark = pytest.mark.slow

Change = Callable[[Lake], dict[str, Any] | None]
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
    columns = ["time", "close", "open", "high", "low", "volume"]
    layout = {"layout": [{"files": BTC, "columns": columns}]}
    lake.bring(source=layout)
    return {"options": Options(restate=True), "source": layout}


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


CHANGES: list[Change] = [
    nothing, append, append_all, late_file, restated_file, pruned_file, forecasts_to_prune, only_ingested,
    restated_horizons, other_layout, other_exchange_not_given, lost_forecast, one_symbol,
]  # fmt: skip
POSSIBLE: list[Change] = [
    lost_state,
    lost_summary,
    lost_candles,
    removed_file,
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
