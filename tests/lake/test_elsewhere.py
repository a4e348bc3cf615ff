"""Tasks may work in another folder, for another user: what they carry names the same places there."""

import pickle
from pathlib import Path

import pytest

from chandlery.commands.check import _look, _View
from chandlery.errors import SettingsError
from chandlery.lake.lease import check_lease, hold_lease
from chandlery.lake.store import Store
from chandlery.settings.model import load_settings


@pytest.mark.parametrize("uri", ["lake", "~/lake", "./deep/../lake"])
def test_a_store_is_the_same_folder_in_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    Store(uri).put("a", b"1")
    carried = pickle.dumps(Store(uri))
    monkeypatch.chdir(tmp_path / "there")
    monkeypatch.setenv("HOME", str(tmp_path / "there"))
    pickle.loads(carried).put("a", b"2")  # noqa: S301 - made a moment ago
    assert (tmp_path / "here" / "lake" / "a").read_bytes() == b"2"
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("uri", ["s3://lake/a#1", "s3://lake/a?b", "s3://lake/pc%41t"])
def test_what_a_uri_would_name_elsewhere_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError, match="expected a URI without"):
        Store(uri)


def test_a_bucket_is_the_same_anywhere() -> None:
    store = pickle.loads(pickle.dumps(Store("s3://bucket/lake", {"region": "eu-west-1"})))  # noqa: S301 - likewise
    assert (store.uri, store.options) == ("s3://bucket/lake", {"region": "eu-west-1"})


def test_extension_files_are_named_from_the_root_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = load_settings(flags={"forecast": {"extensions": ["own.py", "~/more.py"]}})
    assert settings.forecast.extensions == [str(tmp_path / "own.py"), str(tmp_path / "home" / "more.py")]


def test_a_folder_that_is_not_the_runs_own_lake_is_not_written_to(tmp_path: Path) -> None:
    with hold_lease(Store(str(tmp_path / "here")), 2.0, wait=False) as token:
        check_lease(Store(str(tmp_path / "here")), token)
        with pytest.raises(SettingsError, match="a folder that all machines share"):
            check_lease(Store(str(tmp_path / "there")), token)


def test_check_tells_of_a_process_that_does_not_see_what_the_driver_sees(tmp_path: Path) -> None:
    here, there = Store(str(tmp_path / "here")), Store(str(tmp_path / "there"))
    here.put("raw.csv", b"1")
    assert _look(_View(here, ((here, "raw.csv"),)))
    with pytest.raises(SettingsError, match=r"does not see raw\.csv at .*there"):
        _look(_View(here, ((there, "raw.csv"),)))
    assert [entry.path for entry in here.list()] == ["raw.csv"]
