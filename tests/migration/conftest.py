"""A lake of this format whose source has refused files and rows, and the same one as format 1 had it."""

from pathlib import Path

import pytest
from hours import SETTINGS, make_settings
from old_lakes import spread_refused, upload, write_by_hand

from chandlery.runs.pipeline import run


@pytest.fixture(scope="session")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files in `raw`, a lake that names no exchange in `unnamed`, and one of format 1 in `old`."""
    folder = tmp_path_factory.mktemp("lakes")
    upload(folder / "raw")
    run(make_settings(folder / "raw", folder / "unnamed", SETTINGS))
    write_by_hand(folder / "unnamed", folder / "old")
    spread_refused(folder / "old")
    return folder
