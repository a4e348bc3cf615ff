"""A name for the exchange of candles that came without one: everything is moved, and nothing is computed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hours import SETTINGS, make_settings
from invocations import call, call_and_kill
from old_lakes import list_paths
from rebuild import find_differences

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.progress import Silent
from chandlery.runs.naming import Named, name_exchange
from chandlery.runs.pipeline import plan, run
from chandlery.settings.model import load_settings

pytestmark = pytest.mark.slow

NAMED = {"exchange": "kraken"}


@pytest.fixture
def lake(lakes: Path, tmp_path: Path) -> Path:
    shutil.copytree(lakes / "unnamed", tmp_path / "lake")
    return tmp_path / "lake"


def give_name(lake: Path, name: str = "kraken") -> Named:
    return name_exchange(load_settings(None, {"lake": {"uri": str(lake)}}), name, Silent())


def bring(lakes: Path, lake: Path, **settings: Any) -> Any:
    return run(make_settings(lakes / "raw", lake, SETTINGS, **settings))


def content(lake: Path) -> dict[str, bytes]:
    return {path: (lake / path).read_bytes() for path in list_paths(lake)}


def change_names(path: str) -> str:
    return path.replace("exchange=unknown/interval=60m", "exchange=kraken/interval=60m")


def test_objects_are_moved_and_nothing_is_computed(lakes: Path, lake: Path, tmp_path: Path) -> None:
    before = content(lake)
    done = give_name(lake)
    assert (done.exchange, done.series) == ("kraken", ["kraken/60m"])
    now = content(lake)
    assert sorted(now) == sorted(map(change_names, before))
    other = {path for path, held in before.items() if now[change_names(path)] != held}
    assert other == {"lake.json", "state/summary.json", "models/exchange=unknown/interval=60m/part-0.parquet"}
    assert set(read_table(str(lake), "ledger")["exchange"]) == {"kraken", "unknown"}  # files of no series stay
    assert not list(lake.glob("*/exchange=unknown/interval=60m"))
    assert not (lake / "candles" / "exchange=unknown").exists()
    for artefact in read_table(str(lake), "models")["artefact"]:
        assert (lake / artefact).exists()
    bring(lakes, tmp_path / "founded", source=NAMED)
    assert not find_differences(lake, tmp_path / "founded", {})


def test_a_run_has_nothing_to_do_afterwards(lakes: Path, lake: Path) -> None:
    give_name(lake)
    for settings in ({}, {"source": NAMED}):
        assert plan(make_settings(lakes / "raw", lake, SETTINGS, **settings)).steps == []
        report = bring(lakes, lake, **settings)
        assert (report.run_id, report.published, report.exit_code) == (None, 0, 3)


def test_an_append_goes_on_from_what_was_moved(lakes: Path, lake: Path, tmp_path: Path) -> None:
    """State that was moved is read: the run resumes, and ends in the bytes of a new lake."""
    give_name(lake)
    shutil.copytree(lakes / "raw", tmp_path / "raw")  # the copies have the same times
    lines = (tmp_path / "raw" / "btcusd_001.csv").read_text().splitlines()
    time, *values = lines[-1].split(",")
    fresh = [",".join([str(int(time) + 3_600_000 * hours), *values]) for hours in range(1, 49)]
    (tmp_path / "raw" / "btcusd_002.csv").write_text("\n".join([lines[0], *fresh]) + "\n")
    report = run(make_settings(tmp_path / "raw", lake, SETTINGS))
    assert report.notes == []
    run(make_settings(tmp_path / "raw", tmp_path / "new", SETTINGS, source=NAMED))
    assert not find_differences(lake, tmp_path / "new", {})


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("first", [2, 12, 40, 90])
def test_killed_at_any_moment_it_ends_in_the_same_bytes(
    lakes: Path, lake: Path, tmp_path: Path, first: int, when: str
) -> None:
    """A run in between refuses, and names the command that ends it."""
    shutil.copytree(lake, tmp_path / "whole")
    give_name(tmp_path / "whole")
    command = ("migrate", "--exchange", "kraken", "--lake", str(lake), "--quiet")
    order = ("symbol", "horizon_minutes", "issued_at")
    rows = read_table(str(lake), "forecasts").drop("exchange").sort(order)
    assert call_and_kill(first, when, *command)
    for _ in range(2):
        if json.loads((lake / "lake.json").read_text()).get("naming"):
            with pytest.raises(SettingsError, match=r"being named kraken.*migrate --exchange kraken"):
                bring(lakes, lake)
            checked = call("check", "--source", str(lakes / "raw"), "--lake", str(lake))
            assert "FAIL lake: read" in checked.stdout
            with pytest.raises(SettingsError, match=r"interrupted naming of the exchange kraken.*complete that first"):
                give_name(lake, "binance")
        assert read_table(str(lake), "forecasts").drop("exchange").sort(order).equals(rows)
        call_and_kill(4, when, *command)
    done = call(*command)
    assert done.returncode == 0, done.stderr
    assert content(lake) == content(tmp_path / "whole")
    assert bring(lakes, lake).run_id is None


def test_names_that_it_refuses(lake: Path, tmp_path: Path) -> None:
    def refused(match: str, name: str = "kraken", place: Path = lake) -> None:
        before = list_paths(place)
        with pytest.raises(SettingsError, match=match) as error:
            give_name(place, name)
        assert error.value.exit_code == 2
        assert list_paths(place) == before

    for name in ("kraken!", "a/b", "../x", "my exchange", ""):
        refused("a name of a–z, 0–9 and _", name)
    for name in ("unknown", "Unknown"):
        refused("stands for none", name)
    refused("no lake at", place=tmp_path / "nothing")
    staged = lake / "_staging" / "someone-1" / "manifest.json"
    staged.parent.mkdir(parents=True)
    staged.write_text("{}")
    refused("interrupted while it published")
    shutil.rmtree(lake / "_staging")
    shutil.copytree(lake / "scores" / "exchange=unknown", lake / "scores" / "exchange=binance")
    refused("exchange binance is in .* already", "binance")
    shutil.rmtree(lake / "scores" / "exchange=binance")
    give_name(lake)
    refused("no candles of exchange=unknown at .*: those of kraken", "binance")


def test_the_command_says_what_it_did(lake: Path) -> None:
    done = call("migrate", "--exchange", "Kraken", "--lake", str(lake))
    assert done.returncode == 0, done.stderr
    assert "has kraken/60m" in done.stdout
    again = call("migrate", "--exchange", "kraken", "--lake", str(lake), "--json")
    assert again.returncode == 2
    assert "there is nothing to do" in again.stderr
