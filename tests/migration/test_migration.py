"""A lake of format 1 becomes one of this format: every row, and nothing half."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from hours import SETTINGS, make_settings
from invocations import call, call_and_kill
from old_lakes import (
    list_paths,
    read_object,
    read_old,
    run_old_code,
    unpack_old_code,
    upload,
    write_by_hand,
)
from polars.testing import assert_frame_equal
from rebuild import find_differences

from chandlery.errors import SettingsError
from chandlery.lake.query import query
from chandlery.lake.reading import read_table
from chandlery.progress import Silent
from chandlery.runs.migration import Migrated, migrate_lake
from chandlery.runs.old_format import REFERENCES
from chandlery.runs.pipeline import plan, run
from chandlery.schema import TABLES
from chandlery.settings.model import load_settings

pytestmark = pytest.mark.slow

NEW_TABLES = [name for name in TABLES if name != "ledger"]
UNASSIGNED = "ledger/exchange=unknown/interval=unknown/symbol=UNKNOWN/part-0.parquet"


def migrate(old: Path, new: Path) -> Migrated:
    return migrate_lake(load_settings(None, {}), str(old), str(new), Silent())


def content(lake: Path) -> dict[str, bytes]:
    return {path: (lake / path).read_bytes() for path in list_paths(lake)}


def assert_same_rows(old: Path, new: Path) -> None:
    """Compare all tables row for row; the ledger's rows of files that were never read may stand elsewhere."""
    for table in NEW_TABLES:
        before, now = read_old(old, table), read_old(new, table)
        order = [name for name in ("symbol", "horizon_minutes", "year", *TABLES[table].sort) if name in before.columns]
        if "interval" not in before.columns:  # of the format: rejects never had it
            now = now.drop("interval")
        assert before.height > 0, table
        assert_frame_equal(now.select(before.columns).sort(order), before.sort(order))
    before, now = (read_old(lake, "ledger").sort("source") for lake in (old, new))
    columns = [name for name in before.columns if name not in {"exchange", "symbol"}]
    assert_frame_equal(now.select(columns), before.select(columns))
    moved = read_object(new / UNASSIGNED)
    assert moved["source"].to_list() == before.filter(pl.col("status") == "refused")["source"].to_list()


def test_a_lake_that_the_earlier_code_made(tmp_path: Path) -> None:
    """Row for row equal with two kills on the way; then a run makes it a lake as this code would have made it."""
    code, raw, old, new = unpack_old_code(tmp_path / "code"), tmp_path / "raw", tmp_path / "old", tmp_path / "new"
    upload(raw)
    run_old_code(code, raw, old)
    gone = raw / "ltcusd_000.csv"
    shutil.move(gone, tmp_path / gone.name)
    run_old_code(code, raw, old)
    before = content(old)
    assert call_and_kill(5, "after", "migrate", str(old), str(new))
    assert call_and_kill(9, "before", "migrate", str(old), str(new))
    done = call("migrate", str(old), str(new), "--json")
    assert done.returncode == 0, done.stderr
    assert "stage ingest 2 → " in json.loads(done.stdout)["notes"][0]
    assert content(old) == before
    assert_same_rows(old, new)
    shutil.copytree(new / "candles", tmp_path / "candles")
    (tmp_path / "rebuilt").mkdir()
    shutil.copy(new / "lake.json", tmp_path / "rebuilt")
    steps = plan(make_settings(raw, new)).steps
    assert [step.cost for step in steps if step.stage == "forecast"] == ["7,693 candles, less than 1 CPU-s"]
    assert run(make_settings(raw, new)).exit_code == 3
    assert content(tmp_path / "candles") == content(new / "candles")
    shutil.move(tmp_path / gone.name, gone)
    run(make_settings(raw, tmp_path / "rebuilt"))
    gone.unlink()
    run(make_settings(raw, tmp_path / "rebuilt"))
    # The row of a file that is gone stays as the earlier code wrote it, without the columns that have come since.
    found = find_differences(new, tmp_path / "rebuilt", {})
    assert found == [difference for difference in found if difference.startswith("ledger: 1 other bytes")]
    is_gone = pl.col("source") == gone.name
    ledgers = [
        read_table(str(lake), "ledger").with_columns(
            pl.col("rows_filled").fill_null(0), decisions=pl.when(~is_gone).then("decisions")
        )
        for lake in (new, tmp_path / "rebuilt")
    ]
    assert ledgers[0].equals(ledgers[1])
    assert run(make_settings(raw, new)).run_id is None


def test_row_for_row(lakes: Path, tmp_path: Path) -> None:
    before = content(lakes / "old")
    done = migrate(lakes / "old", tmp_path / "new")
    assert (done.series, done.found, done.objects) == ("bitfinex/60m", 0, len(before) - 1)
    assert_same_rows(lakes / "old", tmp_path / "new")
    assert content(lakes / "old") == before
    tables = {path: held for path, held in content(lakes / "unnamed").items() if path.startswith(tuple(TABLES))}
    first, then = "exchange=unknown/interval=60m", "exchange=bitfinex/interval=60m"
    named = {path.replace(first, then): held for path, held in tables.items()}
    assert {path: held for path, held in content(tmp_path / "new").items() if path != "lake.json"} == named


def test_a_run_goes_on_with_it(lakes: Path, tmp_path: Path) -> None:
    migrate(lakes / "old", tmp_path / "new")
    steps = plan(make_settings(lakes / "raw", tmp_path / "new", SETTINGS)).steps
    assert {step.why for step in steps if step.series} >= {
        "state is missing, damaged, of another version or older than the tables"
    }
    assert "CPU-s" in steps[-1].cost
    run(make_settings(lakes / "raw", tmp_path / "new", SETTINGS))
    (tmp_path / "same").mkdir()
    shutil.copy(tmp_path / "new" / "lake.json", tmp_path / "same")
    run(make_settings(lakes / "raw", tmp_path / "same", SETTINGS))
    assert not find_differences(tmp_path / "new", tmp_path / "same", {})
    assert run(make_settings(lakes / "raw", tmp_path / "new", SETTINGS)).run_id is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_each_write_it_ends_in_the_same_bytes(lakes: Path, tmp_path: Path, when: str) -> None:
    """A run on what is left refuses, and names the command that goes on."""
    migrate(lakes / "old", tmp_path / "whole")
    new = tmp_path / "new"
    command = ("migrate", str(lakes / "old"), str(new), "--quiet")
    for at in (1, 2, 9, 20):
        if not call_and_kill(at, when, *command):
            break
        if (new / "migration.json").exists() and not (new / "lake.json").exists():
            with pytest.raises(SettingsError, match=r"is incomplete.*chandlery migrate .* continues it") as refused:
                run(make_settings(lakes / "raw", new, SETTINGS))
            assert refused.value.exit_code == 2
    assert call(*command).returncode == 0
    assert content(new) == content(tmp_path / "whole")


def test_killed_at_its_last_writes_it_ends_in_the_same_bytes(lakes: Path, tmp_path: Path) -> None:
    migrate(lakes / "old", tmp_path / "whole")
    at, kills = 24, 0
    while call_and_kill(at, "after", "migrate", str(lakes / "old"), str(tmp_path / f"{at}"), "--quiet"):
        call("migrate", str(lakes / "old"), str(tmp_path / f"{at}"))
        assert content(tmp_path / f"{at}") == content(tmp_path / "whole"), at
        at, kills = at + 1, kills + 1
    assert kills > 1


def test_what_is_there_is_not_written_again(lakes: Path, tmp_path: Path) -> None:
    old, new = lakes / "old", tmp_path / "new"
    assert call_and_kill(20, "after", "migrate", str(old), str(new))
    done = json.loads((new / "migration.json").read_text())["done"]
    before = {path: (new / path).stat().st_mtime_ns for path in list_paths(new)}
    lost = next(path for path in before if path.startswith("candles/"))
    (new / lost).unlink()
    found = migrate(old, new).found
    there = [path for path in before if path not in {lost, "migration.json"}]
    stays = [path for path in there if (new / path).stat().st_mtime_ns == before[path]]
    assert (found, len(stays)) == (done - 1, done - 1)
    assert (new / lost).exists()


def test_a_lake_that_changed_on_the_way_is_migrated_anew(lakes: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(lakes / "old", old)
    assert call_and_kill(20, "before", "migrate", str(old), str(new))
    shutil.rmtree(old / "candles" / "exchange=bitfinex" / "symbol=BTCUSD")
    done = migrate(old, new)
    assert done.found == 0
    migrate(old, tmp_path / "whole")
    assert content(new) == content(tmp_path / "whole")


def test_what_lake_json_lacks_comes_from_the_run_that_computed_forecasts(lakes: Path, tmp_path: Path) -> None:
    old, lacking = tmp_path / "old", ("references", "min_train", "seed", "extensions")
    write_by_hand(lakes / "unnamed", old, **dict.fromkeys(lacking))

    def find_series(name: str) -> dict[str, object]:
        migrate(old, tmp_path / name)
        (series,) = json.loads((tmp_path / name / "lake.json").read_text())["series"]
        return series

    found = find_series("default")
    default = {"references": REFERENCES, "min_train": "180d", "seed": 0, "extensions": []}
    assert {name: found[name] for name in lacking} == default
    (old / "runs").mkdir()
    told = {"horizons": ["30m"], "references": ["ETHUSD"], "min_train": "90d", "seed": 5, "extensions": []}
    for number, (computed, seed) in enumerate([(1, 4), (1, 5), (0, 6)]):
        report = {"stages": [{"name": "forecast", "computed": computed}]}
        record = {"settings": {"forecast": told | {"seed": seed}}, "report": report}
        (old / "runs" / f"2024010{number}.json").write_text(json.dumps(record))
    (old / "runs" / "zz.json").write_text("no record")
    found = find_series("told")
    assert {name: found[name] for name in lacking} == {name: told[name] for name in lacking}
    assert (found["horizons"], found["reach"], found["offset"]) == ([60, 240], 240, 0)


def test_places_that_it_refuses(lakes: Path, tmp_path: Path) -> None:
    old = lakes / "old"

    def refused(match: str, first: Path, second: Path) -> None:
        with pytest.raises(SettingsError, match=match) as error:
            migrate(first, second)
        assert error.value.exit_code == 2

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    refused(r"1 object at .*full, with notes\.txt; expected an empty place", old, tmp_path / "full")
    assert list_paths(tmp_path / "full") == ["notes.txt"]
    refused("a lake at", old, lakes / "unnamed")
    refused("one inside the other", old, old / "new")
    refused("no lake at", tmp_path / "nothing", tmp_path / "new")
    refused(
        r"lake format 2 at .*; expected format 1. Hint: no migration is needed", lakes / "unnamed", tmp_path / "new"
    )
    others = {
        '{"format": 3}': "lake format 3 .*install the version of chandlery",
        "{}": "expected the file that a run has written",
    }
    for text, match in others.items():
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / "lake.json").write_text(text)
        refused(match, tmp_path / "other", tmp_path / "new")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "migration.json").write_text('{"old": "/elsewhere"}')
    refused("an interrupted migration of /elsewhere", old, tmp_path / "begun")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("fault", ["interval", "exchange", "bytes", "no bytes", "half"])
def test_an_object_that_no_run_of_that_format_has_put(lakes: Path, tmp_path: Path, fault: str) -> None:
    old = tmp_path / "old"
    shutil.copytree(lakes / "old", old)
    path = next((old / "candles").rglob("*.parquet"))
    if fault == "interval":
        pl.read_parquet(path, hive_partitioning=False).with_columns(pl.lit("30m").alias("interval")).write_parquet(path)
    elif fault == "exchange":
        (old / "candles" / "exchange=bitfinex").rename(old / "candles" / "exchange=kraken")
    else:
        whole = path.read_bytes()
        path.write_bytes({"bytes": b"PAR1", "no bytes": b"", "half": whole[: len(whole) // 2]}[fault])
    told = {"interval": "with candles of 30m", "exchange": "lake of bitfinex"}
    with pytest.raises(SettingsError, match=told.get(fault, "not a complete Parquet")) as met:
        migrate(old, tmp_path / "new")
    assert fault in told or met.value.hint.startswith("restore it")  # the old lake is only read
    assert "state/" not in met.value.hint
    assert not (tmp_path / "new" / "lake.json").exists()


@pytest.mark.parametrize("table", TABLES)
def test_readers_refuse_the_earlier_format(lakes: Path, table: str) -> None:
    with pytest.raises(SettingsError, match=r"lacks the key interval.*chandlery migrate .* NEW"):
        read_table(str(lakes / "old"), table)
    with pytest.raises(SettingsError, match=r"lacks the key interval.*chandlery migrate .* NEW"):
        query(str(lakes / "old"), f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of our own


def test_the_command_says_what_it_did(lakes: Path, tmp_path: Path) -> None:
    done = call("migrate", str(lakes / "old"), str(tmp_path / "new"))
    assert "objects, " in done.stdout
    assert "migrated bitfinex/60m to " in done.stdout
    assert "chandlery plan --lake" in done.stdout
    for wrong in ((), ("one",), ("one", "two", "--exchange", "kraken")):
        refused = call("migrate", *wrong)
        assert refused.returncode == 2
        assert "either two lakes" in refused.stderr
