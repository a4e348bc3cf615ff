"""Two runs on one folder, where the file lock of the first was deleted."""

from pathlib import Path
from typing import Any

import pytest
from hours import make_settings, start_lake

from chandlery.errors import LeaseHeldError
from chandlery.lake.store import Store
from chandlery.runs.pipeline import run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("method", "at"),
    [
        ("put", 0),
        ("put", 2),
        ("put", 6),
        ("put_if_absent", 0),
        ("move", 0),
        ("move", 2),
        ("put_if_absent", 1),
        ("move", 4),
    ],
)
def test_a_run_whose_lock_was_deleted_stops_once_another_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, at: int
) -> None:
    lake = start_lake(tmp_path)
    lake.put("BTCUSD", 110, 112)
    write, count = getattr(Store, method), iter(range(1_000_000))

    def write_late(self: Store, *given: Any) -> Any:
        if next(count) == at:
            (lake.folder / ".lease.lock").unlink()
            with monkeypatch.context() as patch:
                patch.setattr(Store, method, write)
                run(make_settings(lake.raw, lake.folder))
        return write(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Store, method, write_late)
        with pytest.raises(LeaseHeldError, match="has lost the lake"):
            lake.bring()
    assert lake.bring().published == 0
    assert lake.bring().run_id is None
    assert not lake.compare_with_rebuild(tmp_path / "new")
