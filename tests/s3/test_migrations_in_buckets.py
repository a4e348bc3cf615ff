"""Migrations on a real S3 server, killed on the way: the same bytes as on a path."""

import shutil
from pathlib import Path

import pytest
from hours import SETTINGS, make_settings
from invocations import call, call_and_kill
from lakes import to_toml
from old_lakes import list_paths, spread_refused, upload, write_by_hand
from s3_server import Server

from chandlery.lake.store import Store
from chandlery.progress import Silent
from chandlery.runs.migration import migrate_lake
from chandlery.runs.naming import name_exchange
from chandlery.runs.pipeline import run
from chandlery.settings.model import load_settings

LEASE = ("lease.json", ".lease.lock", "_probe/")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files, a lake that names no exchange, and one of format 1."""
    folder = tmp_path_factory.mktemp("made")
    upload(folder / "raw")
    run(make_settings(folder / "raw", folder / "unnamed", SETTINGS))
    write_by_hand(folder / "unnamed", folder / "old")
    spread_refused(folder / "old")
    return folder


def write_config(tmp_path: Path, server: Server, lake: str) -> str:
    path = tmp_path / "chandlery.toml"
    path.write_text(to_toml({"lake": {"uri": lake, "lease_seconds": "1"}, "storage": server.storage}))
    return str(path)


def put_lake(folder: Path, store: Store) -> None:
    for path in list_paths(folder):
        store.put(path, (folder / path).read_bytes())


def content(store: Store) -> dict[str, bytes | None]:
    return {entry.path: store.get(entry.path) for entry in store.list() if not entry.path.startswith(LEASE)}


@pytest.mark.slow
def test_a_bucket_to_another_one(admin: Server, made: Path, tmp_path: Path) -> None:
    old, new = (Store(f"s3://{place}", admin.storage) for place in ("crypto-lake/format-1", "other-lake/format-2"))
    put_lake(made / "old", old)
    before = content(old)
    command = ("migrate", old.uri, new.uri, "--quiet", "--config", write_config(tmp_path, admin, "s3://crypto-lake/x"))
    assert call_and_kill(9, "after", *command)
    assert call_and_kill(19, "before", *command)
    done = call(*command)
    assert done.returncode == 0, done.stderr
    assert content(old) == before
    migrate_lake(load_settings(None, {}), str(made / "old"), str(tmp_path / "local"), Silent())
    assert content(new) == content(Store(str(tmp_path / "local")))


@pytest.mark.slow
def test_a_name_for_an_exchange(admin: Server, made: Path, tmp_path: Path) -> None:
    lake = Store("s3://crypto-lake/unnamed", admin.storage)
    put_lake(made / "unnamed", lake)
    config = write_config(tmp_path, admin, lake.uri)
    command = ("migrate", "--exchange", "kraken", "--quiet", "--config", config)
    assert call_and_kill(12, "after", *command)
    refused = call("run", "--source", str(made / "raw"), "--config", config, "--quiet")
    assert refused.returncode == 2
    assert "`chandlery migrate --exchange kraken` completes it" in refused.stderr
    assert call_and_kill(60, "before", *command)
    done = call(*command)
    assert done.returncode == 0, done.stderr
    shutil.copytree(made / "unnamed", tmp_path / "local")
    name_exchange(load_settings(None, {"lake": {"uri": str(tmp_path / "local")}}), "kraken", Silent())
    assert content(lake) == content(Store(str(tmp_path / "local")))
    again = call("run", "--source", str(made / "raw"), "--config", config, "--quiet")
    assert "is up to date" in again.stdout, again.stderr
