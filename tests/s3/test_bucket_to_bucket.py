"""From a raw bucket to a lake bucket on a real S3 server, through the command line."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from itertools import cycle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lakes import digests, run_lake, write_days
from s3_server import Server

from chandlery.errors import LeaseHeldError
from chandlery.lake.lease import check_lease, hold_lease
from chandlery.lake.query import query
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.lake.tables import encode, partition_path
from chandlery.schema import LAKE_FILE


def upload(server: Server, folder: Path, prefix: str, pattern: str = "*") -> str:
    store = Store(f"s3://crypto-raw/{prefix}", server.storage)
    for path in sorted(folder.glob(pattern)):
        store.put(path.name, path.read_bytes())
    return store.uri


def config_of(tmp_path: Path, server: Server, source: str, lake: str) -> Path:
    storage = "".join(f'{name} = "{value}"\n' for name, value in server.storage.items())
    path = tmp_path / "chandlery.toml"
    path.write_text(
        "[source]\n"
        f'uri = "{source}"\n'
        "[lake]\n"
        f'uri = "{lake}"\n'
        "lease_seconds = 2\n"
        "[storage]\n"
        f"{storage}[forecast]\n"
        'horizons = ["1m", "5m"]\n'
        'min_train = "10d"\n'
        "[engine]\n"
        "workers = 2\n"
    )
    return path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "chandlery", *arguments]


def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_days(folder, 0, 40)
    return folder


@pytest.mark.slow
def test_bucket_to_bucket_equals_folder_to_folder(admin: Server, raw: Path, tmp_path: Path) -> None:
    source, lake = upload(admin, raw, "plain"), "s3://crypto-lake/plain"
    config = config_of(tmp_path, admin, source, lake)
    done = call("run", "--config", str(config), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["published"] > 0
    again = call("run", "--config", str(config), "--json")
    assert json.loads(again.stdout)["published"] == 0
    assert json.loads(again.stdout)["run_id"] is None
    run_lake(raw, tmp_path / "lake", storage={})
    pure = ("candles/", "forecasts/", "models/", "scores/", "gaps/", "artefacts/")
    ours, local = digests(lake, admin.storage), digests(tmp_path / "lake")
    assert {path: digest for path, digest in ours.items() if path.startswith(pure)} == {
        path: digest for path, digest in local.items() if path.startswith(pure)
    }
    assert (
        query(lake, "SELECT count(*) AS n FROM candles", admin.storage)["n"][0]
        == read_table(str(tmp_path / "lake"), "candles").height
    )


@pytest.mark.slow
def test_killed_at_any_moment_the_next_run_ends_in_the_same_bytes(admin: Server, raw: Path, tmp_path: Path) -> None:
    """Kills right after a put or somewhere between; reads in between never fail and are never wrong."""
    source = upload(admin, raw, "killed")
    whole = "s3://crypto-lake/whole"
    assert call("run", "--config", str(config_of(tmp_path, admin, source, whole)), "--quiet").returncode == 0
    expected = digests(whole, admin.storage)
    candles = read_table(whole, "candles", options=admin.storage)
    random = np.random.default_rng(7)
    lake = "s3://crypto-lake/killed"
    config = config_of(tmp_path, admin, source, lake)
    store = Store(lake, admin.storage)
    for round_number in range(4):
        puts = int(random.integers(1, 40))
        running = subprocess.Popen(
            command("run", "--config", str(config), "--quiet"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before = {entry.path: entry.etag for entry in store.list()}
        while running.poll() is None and sum(before.get(entry.path) != entry.etag for entry in store.list()) < puts:
            if store.head(LAKE_FILE) is None:  # there is no lake to read yet
                continue
            found = read_table(lake, "candles", options=admin.storage)
            assert found.join(candles, on=["symbol", "open_time"], how="anti").is_empty(), round_number
        running.send_signal(signal.SIGKILL)
        running.wait()
    done = call("run", "--config", str(config), "--quiet", "--wait")
    assert done.returncode == 0, done.stderr
    assert digests(lake, admin.storage) == expected


def test_of_two_runs_one_holds_the_lake(admin: Server) -> None:
    store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", admin.storage)
    with hold_lease(store, 1.0, wait=False) as token:
        check_lease(store, token)
        with pytest.raises(LeaseHeldError), hold_lease(store, 0.1, wait=False):
            pass
    with hold_lease(store, 1.0, wait=False) as second, pytest.raises(LeaseHeldError):
        check_lease(store, token)
    assert second != token


def test_a_race_for_the_lease_has_one_winner_at_a_time(admin: Server) -> None:
    store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", admin.storage)
    inside, most = 0, 0
    lock = threading.Lock()

    def compete() -> None:
        nonlocal inside, most
        with hold_lease(Store(store.uri, admin.storage), 5.0, wait=True):
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=compete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_no_right_to_write_is_found_before_any_work(server: Server, admin: Server, raw: Path, tmp_path: Path) -> None:
    config = config_of(
        tmp_path, admin, upload(admin, raw, "rights", "btc*"), f"s3://crypto-lake/{secrets.token_hex(4)}"
    )
    done = call("run", "--config", str(config), "--quiet", **server.reader)
    assert done.returncode == 2
    assert "no right to write lease.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_key_is_told(admin: Server, tmp_path: Path) -> None:
    config = config_of(tmp_path, admin, "s3://crypto-raw/rights", "s3://crypto-lake/x")
    done = call("run", "--config", str(config), AWS_ACCESS_KEY_ID="admin", AWS_SECRET_ACCESS_KEY="hUnTer2xQ7")
    assert done.returncode == 2
    assert "does not accept the credentials" in done.stderr
    assert "hUnTer2xQ7" not in done.stderr
    checked = call("check", "--config", str(config), AWS_ACCESS_KEY_ID="admin", AWS_SECRET_ACCESS_KEY="wrong")
    assert checked.returncode == 2
    assert "FAIL source" in checked.stdout


@pytest.mark.parametrize(
    ("source", "lake"), [("s3://missing-raw/", "s3://crypto-lake/x"), ("s3://crypto-raw/rights", "s3://missing-lake/")]
)
def test_a_missing_bucket_is_told(admin: Server, tmp_path: Path, source: str, lake: str) -> None:
    done = call("run", "--config", str(config_of(tmp_path, admin, source, lake)))
    assert done.returncode == 2
    assert "no bucket at s3://missing-" in done.stderr


def test_check_passes_and_leaves_nothing(admin: Server, raw: Path, tmp_path: Path) -> None:
    lake = f"s3://crypto-lake/{secrets.token_hex(4)}"
    config = config_of(tmp_path, admin, upload(admin, raw, "check", "btc*"), lake)
    done = call("check", "--config", str(config))
    assert done.returncode == 0, done.stdout
    assert Store(lake, admin.storage).list() == []


def test_a_read_while_an_object_is_replaced_is_never_mixed(admin: Server, tmp_path: Path) -> None:
    lake = f"s3://crypto-lake/{secrets.token_hex(4)}"
    write_days(tmp_path / "raw", 0, 3, symbols=1)
    run_lake(tmp_path / "raw", tmp_path / "lake")
    store = Store(lake, admin.storage)
    path = next((tmp_path / "lake" / "candles").rglob("*.parquet"))
    name = str(path.relative_to(tmp_path / "lake"))
    one = path.read_bytes()
    shutil.rmtree(tmp_path / "lake")
    write_days(tmp_path / "raw", 0, 5, symbols=1)
    run_lake(tmp_path / "raw", tmp_path / "lake")
    two = path.read_bytes()
    store.put(name, one)
    heights = {read_table(lake, "candles", options=admin.storage).height}
    store.put(name, two)
    heights.add(read_table(lake, "candles", options=admin.storage).height)
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            store.put(name, one)
            store.put(name, two)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        assert {read_table(lake, "candles", options=admin.storage).height for _ in range(40)} <= heights
    finally:
        stop.set()
        writer.join()


def test_a_table_is_read_while_its_objects_are_replaced_one_after_another(admin: Server) -> None:
    """As a run does with many pairs: a reader of all of them meets a replaced one at every try."""
    store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", admin.storage)
    keys = [{"exchange": "made_up", "interval": "1m", "symbol": f"PAIR{number:03}"} for number in range(150)]
    contents = [encode([pl.DataFrame({"source": [name]})]) or b"" for name in ("old", "new")]
    stop, turns = threading.Event(), cycle((content, key) for content in contents for key in keys)

    def put() -> None:
        content, key = next(turns)
        store.put(partition_path("ledger", key), content)

    def replace() -> None:
        while not stop.is_set():
            put()

    for _ in keys:
        put()
    writer = threading.Thread(target=replace)
    writer.start()
    try:
        found = read_table(store.uri, "ledger", columns=["symbol", "source"], options=admin.storage)
    finally:
        stop.set()
        writer.join()
    assert found["symbol"].to_list() == [key["symbol"] for key in keys]
    assert found["source"].is_in(["old", "new"]).all()
