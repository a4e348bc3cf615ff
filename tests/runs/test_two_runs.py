"""Two runs on one folder, where the file lock of the first was deleted."""

from pathlib import Path
from typing import Any

import pytest
from hours import FIRST_DAY, LAST_DAY, START_MS, Lake, make_settings, start_lake
from universe import Source

from chandlery.errors import LeaseHeldError
from chandlery.lake.store import Store
from chandlery.runs.pipeline import run

pytestmark = pytest.mark.slow


def bring_beside_another(lake: Lake, method: str, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring a lake up to date; before one call of a method of the store, another run takes the lake and ends."""
    call, count = getattr(Store, method), iter(range(1_000_000))

    def call_late(self: Store, *given: Any) -> Any:
        if next(count) == at:
            (lake.folder / ".lease.lock").unlink()
            with monkeypatch.context() as patch:
                patch.setattr(Store, method, call)
                run(make_settings(lake.raw, lake.folder))
        return call(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Store, method, call_late)
        lake.bring()


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
    with pytest.raises(LeaseHeldError, match="has lost the lake"):
        bring_beside_another(lake, method, at, monkeypatch)
    assert lake.bring().published == 0
    assert lake.bring().run_id is None
    assert not lake.compare_with_rebuild(tmp_path / "new")


@pytest.mark.parametrize("at", [0, 3])  # the staged activity, the market: a run deletes both as it ends
def test_state_that_another_run_has_deleted_is_not_reported_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    lake = Lake(Source(tmp_path / "raw", 7, START_MS), tmp_path / "lake", {})
    for symbol in ("BTCUSD", "ETHUSD"):
        lake.put(symbol, FIRST_DAY, LAST_DAY)
    with pytest.raises(LeaseHeldError, match="has lost the lake"):
        bring_beside_another(lake, "view", at, monkeypatch)
    assert lake.bring().published == 0
