"""What a run keeps in a far lake and reads again and again is fetched once by a machine."""

import os
import resource
import secrets
import tempfile
from pathlib import Path

import numpy as np
import pytest
from s3_server import Server

from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import Series
from chandlery.lake.lease import LeaseToken
from chandlery.lake.store import Store
from chandlery.state.arrays import put_arrays, view_arrays
from chandlery.state.copies import FORGOTTEN_SECONDS, forget_copies, open_copies

PATH = "state/market/7.state"
FILE = Series("bitfinex", "1m", [30], ["linear"], [], "60d", 0, [], 60)


@pytest.fixture
def lake(admin: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", admin.storage)
    put_arrays(store, PATH, {"index": np.arange(12.0).reshape(3, 4)})
    return Lake(store, FILE, LeaseToken(secrets.token_hex(8)))


def folders(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / f"chandlery-{os.getuid()}").glob("run-*"))


def test_what_was_fetched_once_is_not_asked_for_again(lake: Lake, tmp_path: Path) -> None:
    copies = open_copies(lake)
    assert view_arrays(lake.store, "state/market/8.state", copies) is None
    for _ in range(2):
        found = view_arrays(lake.store, PATH, copies)
        assert found is not None
        assert np.array_equal(found["index"], np.arange(12.0).reshape(3, 4))
        lake.store.delete(PATH)  # the second time it can only come from here
    assert lake.token is not None
    assert folders(tmp_path) == [f"run-{lake.token.owner}"]
    forget_copies(lake.token)
    assert folders(tmp_path) == []


def test_another_run_sees_none_of_them_and_takes_away_what_a_killed_one_left_long_ago(
    lake: Lake, tmp_path: Path
) -> None:
    view_arrays(lake.store, PATH, open_copies(lake))
    lake.store.delete(PATH)
    later = Lake(lake.store, FILE, LeaseToken("later"))
    assert view_arrays(later.store, PATH, open_copies(later)) is None
    assert len(folders(tmp_path)) == 2
    killed = next((tmp_path / f"chandlery-{os.getuid()}").glob(f"run-{lake.token.owner}" if lake.token else ""))
    long_ago = killed.stat().st_mtime - FORGOTTEN_SECONDS - 60
    os.utime(killed, (long_ago, long_ago))
    open_copies(later)
    assert folders(tmp_path) == ["run-later"]


def test_without_a_folder_the_lake_itself_is_read(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / f"chandlery-{os.getuid()}").write_text("in the way")
    assert open_copies(lake) is None
    assert view_arrays(lake.store, PATH, None) is not None


def test_without_room_the_lake_itself_is_read(lake: Lake) -> None:
    copies = open_copies(lake)
    assert copies is not None
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, most[1]))
    try:
        assert view_arrays(lake.store, PATH, copies) is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert [path for path in copies.root.rglob("*") if path.is_file()] == []


def test_a_lake_on_this_machine_needs_no_copies(tmp_path: Path) -> None:
    assert open_copies(Lake(Store(str(tmp_path)), FILE, LeaseToken("near"))) is None
