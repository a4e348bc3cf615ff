"""Two runs on one folder, where the file lock of the first was deleted."""

from pathlib import Path

import pytest
from hours import make_settings, start_lake

from chandlery.errors import LeaseHeldError
from chandlery.pipeline import run
from chandlery.storage import Store


def test_a_run_whose_lock_was_deleted_stops_once_another_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = start_lake(tmp_path)
    lake.put("BTCUSD", 110, 112)
    put, count = Store.put, iter(range(1_000_000))

    def put_third(self: Store, path: str, content: bytes, media_type: str | None = None) -> None:
        if next(count) == 2:
            (lake.folder / ".lease.lock").unlink()
            run(make_settings(lake.raw, lake.folder))
        put(self, path, content, media_type)

    monkeypatch.setattr(Store, "put", put_third)
    with pytest.raises(LeaseHeldError, match="has lost the lake"):
        lake.bring()
    monkeypatch.setattr(Store, "put", put)
    assert lake.bring().run_id is None
    assert not lake.compare(tmp_path / "new")
