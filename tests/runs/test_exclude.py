"""Files that the settings leave out are as if they were not there."""

from pathlib import Path

import pytest
from like_files import write_clean

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.progress import Silent
from chandlery.runs.pipeline import Options, RunReport, ingest
from chandlery.settings.model import load_settings

pytestmark = pytest.mark.slow


def bring(folder: Path, exclude: list[str]) -> RunReport:
    given = {"source": {"uri": str(folder / "raw"), "exclude": exclude}, "lake": {"uri": str(folder / "lake")}}
    return ingest(load_settings(None, {**given, "engine": {"workers": 1}}), Options(), Silent())


def test_excluded_files_are_not_read_and_need_not_be_candles(tmp_path: Path) -> None:
    write_clean(tmp_path / "raw")
    (tmp_path / "raw/notes").mkdir()
    (tmp_path / "raw/notes/BTC-USD.csv").write_text("no candles")
    (tmp_path / "raw/broken.zip").write_bytes(b"PK no archive")
    assert bring(tmp_path, []).exit_code == 3
    assert bring(tmp_path, ["notes/*", "*.zip", "*ETH-USD*"]).exit_code == 0
    ledger = read_table(str(tmp_path / "lake"), "ledger")
    assert set(ledger.filter(present=True)["symbol"]) == {"LTCUSD"}
    with pytest.raises(SettingsError, match="no files"):
        bring(tmp_path, ["*"])
