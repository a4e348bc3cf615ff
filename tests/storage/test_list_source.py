"""A source is a folder, a glob or one file."""

from pathlib import Path

import pytest

from chandlery.errors import SettingsError
from chandlery.listing import list_source, split_source
from chandlery.storage import Store


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name in ("LTCUSD.csv", "ETHUSD.json", "2019/LTCUSD.csv", "_truth.parquet", ".hidden/x.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "paths"),
    [
        ("", ["2019/LTCUSD.csv", "ETHUSD.json", "LTCUSD.csv"]),
        ("/LTCUSD.csv", ["LTCUSD.csv"]),
        ("/2019/LTCUSD.csv", ["LTCUSD.csv"]),
        ("/*.csv", ["LTCUSD.csv"]),
        ("/2019/*.csv", ["LTCUSD.csv"]),
        ("/*.tsv", []),
    ],
)
def test_files_of_a_source(uri: str, paths: list[str], raw: Path) -> None:
    folder, pattern = split_source(f"{raw}{uri}")
    assert [entry.path for entry in list_source(Store(folder), pattern)] == paths


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    folder, pattern = split_source(str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="no folder"):
        list_source(Store(folder), pattern)
