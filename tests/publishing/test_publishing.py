"""Publications: all objects of a stage change together or not at all, wherever a run is killed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hours import LAST_DAY, Lake, make_settings, start_lake
from interruption import Kill, killed

from chandlery.candles.clean import Settling
from chandlery.errors import LawError
from chandlery.lake.handle import Lake as LakeInHand
from chandlery.lake.lake_file import read_lake_file
from chandlery.lake.lease import LeaseToken
from chandlery.lake.query import query
from chandlery.lake.reading import read_table
from chandlery.lake.staging import STAGING
from chandlery.lake.store import Store
from chandlery.runs.pipeline import Options, forecast, ingest, plan, run
from chandlery.schema import TABLES
from chandlery.tasks.publish import PublishTask, publish_objects

pytestmark = pytest.mark.slow

FIRST = ("candles", "gaps", "ledger", "rejects")
LAST = ("forecasts", "models", "scores")
MANIFEST = "manifest.json"
AROUND = ("put _staging/", "put_if_absent", "move", "delete_all", "delete ", "remove_folder", "put state/summary.json")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a restated file, a new day and a symbol whose files are gone: all that a publication may hold."""
    lake = start_lake(tmp_path)
    lake.put("LTCUSD", 1, LAST_DAY)
    lake.bring()
    lake.source.remove(next(name for name in lake.source.files if name.startswith("ltc")))
    lake.put("BTCUSD", 90, 113, revision=1)
    return lake


def tables(lake: Lake, names: tuple[str, ...] = (*FIRST, *LAST)) -> dict[str, bytes]:
    """Return the objects of some tables."""
    return {path: content for path, content in lake.objects().items() if path.partition("/")[0] in names}


def restore(lake: Lake, copy: Path) -> None:
    shutil.rmtree(lake.folder)
    shutil.copytree(copy, lake.folder)


def staged(lake: Lake) -> list[str]:
    return [path for path in lake.objects() if path.startswith(STAGING)]


def read_everything(lake: Lake) -> None:
    """Read as analysts do: nothing may fail."""
    for table in TABLES:
        rows = read_table(str(lake.folder), table).height
        assert query(str(lake.folder), f"FROM {table}").height == rows


def choose(names: list[str]) -> list[int]:
    """Return the numbers of writes around a publication: the first and the last of each kind in a row."""
    kinds = [next((kind for kind in AROUND if name.startswith(kind)), "") for name in names]
    begins = [at for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]
    found = set[int]()
    for first, stop in zip(begins, [*begins[1:], len(kinds)], strict=True):
        if kinds[first]:
            found |= {first, stop - 1}
    return [at + 1 for at in sorted(found)]


@pytest.mark.parametrize("applied", [True, False])
def test_a_run_killed_around_a_publication_ends_in_equal_bytes(lake: Lake, tmp_path: Path, *, applied: bool) -> None:
    prune, copy = Options(prune=True), tmp_path / "copy"
    shutil.copytree(lake.folder, copy)
    before, undisturbed = tables(lake), Kill(0, applied=applied)
    with killed(undisturbed):
        lake.bring(run, prune)
    after = tables(lake)
    assert before.keys() - after.keys()
    assert after.keys() - before.keys() or any(before[path] != after[path] for path in before.keys() & after.keys())
    moments = choose(undisturbed.names)
    assert {name.split()[0] for name in undisturbed.names} >= {"put", "put_if_absent", "move", "delete_all"}
    for at in moments:
        restore(lake, copy)
        death = Kill(at, applied=applied)
        with killed(death):
            lake.bring(run, prune)
        assert death.dead
        manifests = [path for path in staged(lake) if path.endswith(MANIFEST)]
        found = tables(lake)
        for group in (FIRST, LAST):  # of each publication all objects are old, all are new, or a manifest is there
            mine = {path for path in before.keys() | after.keys() if path.partition("/")[0] in group}
            changed = {path for path in mine if before.get(path) != after.get(path)}
            new = {path for path in changed if found.get(path) == after.get(path)}
            old = {path for path in changed if found.get(path) == before.get(path)}
            assert new | old == changed, undisturbed.names[at - 1]
            assert manifests or not new or new == changed, undisturbed.names[at - 1]
        read_everything(lake)
        lake.bring(run, prune)
        assert tables(lake) == after, undisturbed.names[at - 1]
        assert not (lake.folder / STAGING).exists()
        assert lake.bring(run, prune).run_id is None


def kill_at(lake: Lake, name: str, nth: int = 1) -> None:
    """Kill a run right after its nth write whose name begins so."""
    copy = lake.folder.with_name("copy-before-kill")
    shutil.copytree(lake.folder, copy)
    trial = Kill(0, applied=True)
    with killed(trial):
        lake.bring()
    at = [number for number, found in enumerate(trial.names, 1) if found.startswith(name)][nth - 1]
    restore(lake, copy)
    shutil.rmtree(copy)
    with killed(Kill(at, applied=True)):
        lake.bring()


@pytest.mark.parametrize("stage", ["ingest", "forecast"])
def test_a_manifest_is_finished_by_another_process_first(lake: Lake, stage: str) -> None:
    kill_at(lake, "put_if_absent")
    left = staged(lake)
    assert any(path.endswith(MANIFEST) for path in left)
    moved = {path.split("/", 2)[2]: lake.objects()[path] for path in left if not path.endswith(MANIFEST)}
    assert any(path.startswith("candles/") for path in moved)
    config = lake.folder.with_name("chandlery.toml")
    values = ", ".join(f'"{name}"' for name in lake.settings["forecast"]["horizons"]) if lake.settings else '"1h", "4h"'
    config.write_text(f'[forecast]\nhorizons = [{values}]\nmodels = ["linear"]\nmin_train = "60d"\n')
    command = [sys.executable, "-m", "chandlery", stage, "--config", str(config), "--lake", str(lake.folder)]
    source = ["--source", str(lake.raw)] if stage == "ingest" else []
    done = subprocess.run([*command, *source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "its publication is finished now" in done.stdout + done.stderr
    now = lake.objects()
    assert all(now[path] == content for path, content in moved.items() if path.startswith("candles/") and content)
    assert not staged(lake)


def test_the_finished_publication_of_a_killed_run_counts(lake: Lake) -> None:
    kill_at(lake, "put_if_absent", 2)
    changed = {path.split("/", 2)[2] for path in staged(lake)} - {MANIFEST}
    assert {path.partition("/")[0] for path in changed} == {"forecasts", "scores"}
    report = lake.bring()
    assert report.published == len(changed)
    assert "publish" in {stage.name for stage in report.stages}
    assert any("publication is finished" in note for note in report.notes)


def test_what_is_staged_without_a_manifest_is_swept_even_where_nothing_is_new(lake: Lake) -> None:
    lake.bring()
    before = tables(lake)
    for folder in ("dead-1", "dead-2"):
        path = lake.folder / STAGING / folder / next(iter(before))
        path.parent.mkdir(parents=True)
        path.write_bytes(b"of a run that was killed")
    settings = make_settings(lake.raw, lake.folder)
    assert [step.stage for step in plan(settings).steps] == ["publish"]
    report = lake.bring()
    assert report.run_id is not None
    assert report.published == 0
    assert plan(settings).steps == []
    assert not (lake.folder / STAGING).exists()
    assert tables(lake) == before
    assert lake.bring().run_id is None


def test_a_task_that_runs_twice_or_late_changes_nothing(lake: Lake) -> None:
    kill_at(lake, "put_if_absent")
    left = staged(lake)
    folder = f"{STAGING}{left[0].split('/')[1]}/"
    paths = tuple(path.removeprefix(folder) for path in left if not path.endswith(MANIFEST))
    store = Store(str(lake.folder))
    file, token = read_lake_file(store), LeaseToken(json.loads((lake.folder / ".lease.lock").read_text())["owner"])
    assert file is not None
    hand = LakeInHand(store, file.series[0], token, folder)
    task = PublishTask(hand, folder, paths, ())
    publish_objects(task)
    once = tables(lake)
    publish_objects(task)
    assert tables(lake) == once
    lake.bring()
    after = tables(lake)
    token = LeaseToken(json.loads((lake.folder / ".lease.lock").read_text())["owner"])
    hand = LakeInHand(store, file.series[0], token, folder)
    publish_objects(PublishTask(hand, folder, paths, ()))  # its objects are gone
    keys = {**hand.keys, "symbol": "BTCUSD"}
    assert hand.write("ledger", keys, hand.decode("ledger", keys, hand.get("ledger", keys))[:0])
    assert tables(lake) == after
    lake.bring()
    assert tables(lake) == after
    assert not staged(lake)


@pytest.mark.parametrize("stage", [run, ingest])
def test_a_broken_law_in_one_symbol_publishes_nothing_of_ingest(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, stage: object
) -> None:
    lake.put("ETHUSD", LAST_DAY, 113)
    before, account, seen = tables(lake), Settling.account, list[str]()

    def break_law(self: Settling) -> object:
        found = account(self)
        seen.extend(found[1]["source"])
        if any(name.startswith("eth") for name in found[1]["source"]):
            raise LawError("rows are missing", "all of them", "nothing was published")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Settling, "account", break_law)
        with pytest.raises(LawError):
            lake.bring(stage)  # type: ignore[arg-type]
    assert any(name.startswith("btc") for name in seen)
    assert tables(lake) == before
    lake.bring()
    assert tables(lake) != before
    assert not staged(lake)


def test_a_broken_law_in_the_scores_publishes_no_forecast(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(lake, LAST)

    def break_law(*_: object) -> Iterator[None]:
        raise LawError("a score", "another", "no forecasts were published")

    with monkeypatch.context() as patch:
        patch.setattr("chandlery.tasks.score.list_models", break_law)
        with pytest.raises(LawError):
            lake.bring()
    assert tables(lake, LAST) == before
    assert any("/forecasts/" in path for path in staged(lake))
    lake.bring()
    assert tables(lake, LAST) != before
    assert not staged(lake)


def test_ingest_and_forecast_publish_what_they_computed(lake: Lake) -> None:
    before = tables(lake)
    found = lake.bring(ingest)
    assert tables(lake, LAST) == {path: content for path, content in before.items() if path.partition("/")[0] in LAST}
    now = tables(lake, FIRST)
    changed = sum(now.get(path) != before.get(path) for path in {*now, *tables(lake, FIRST)})
    assert found.published == changed > 0
    between = tables(lake)
    found = lake.bring(forecast)
    after = tables(lake)
    assert found.published == sum(after.get(path) != between.get(path) for path in {*between, *after}) > 0
    assert not staged(lake)
