"""Places are compared where they really lie, whatever links and spellings lead there."""

from pathlib import Path

import msgspec
import pytest

from chandlery.errors import SettingsError
from chandlery.lake.lake_file import MigrationFile
from chandlery.lake.store import Store
from chandlery.progress import Silent
from chandlery.runs.migration import find_progress, migrate_lake
from chandlery.runs.pipeline import Options, ingest
from chandlery.schema import MIGRATION_FILE
from chandlery.settings.model import load_settings


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("raw/lk", "x", "old/candles", "apart"):
        Path(name).mkdir(parents=True)
    Path("raw/ltcusd.csv").write_text("1502942400000,1,1,1,1,1\n")
    for target, link in (("raw/lk", "lake"), ("raw", "rawlink"), ("old", "oldlink")):
        Path(link).symlink_to(tmp_path / target)


@pytest.mark.parametrize(
    ("source", "lake"),
    [
        ("raw", "lake"),
        ("raw", "x/../raw/lk"),
        ("rawlink", "raw/lk"),
        ("rawlink", "lake/deeper"),
        ("raw", "rawlink/new"),
    ],
)
def test_a_lake_inside_its_source_is_refused(source: str, lake: str) -> None:
    with pytest.raises(SettingsError, match="lies inside the source"):
        ingest(load_settings(None, {"source": {"uri": source}, "lake": {"uri": lake}}), Options())
    assert not any(Path("raw/lk").iterdir())


@pytest.mark.parametrize(
    ("old", "new"),
    [("old", "oldlink"), ("old", "oldlink/sub"), ("oldlink", "old/sub"), ("old/candles", "x/../oldlink")],
)
def test_a_migration_into_itself_is_refused(old: str, new: str) -> None:
    with pytest.raises(SettingsError, match="one inside the other"):
        migrate_lake(load_settings(), old, new, Silent())
    assert [path.name for path in Path("old").iterdir()] == ["candles"]


@pytest.mark.parametrize("old", ["old", "oldlink", "x/../old"])
def test_a_migration_goes_on_whatever_its_old_lake_is_called(old: str, tmp_path: Path) -> None:
    for held in ("old", "oldlink"):
        progress = MigrationFile(str(tmp_path / held), "listing")
        Store("apart").put(MIGRATION_FILE, msgspec.json.encode(progress))
        assert find_progress(Store(old), Store("apart")) == progress
    with pytest.raises(SettingsError, match="an interrupted migration"):
        find_progress(Store("raw"), Store("apart"))
