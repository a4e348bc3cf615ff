"""A folder whose files cannot be locked, as on some network file systems, is told by a run and by `check`."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from chandlery.commands.check import check
from chandlery.errors import SettingsError
from chandlery.lake.lease import hold_lease
from chandlery.lake.store import Store
from chandlery.settings.model import load_settings


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_files_that_cannot_be_locked(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int, __: int) -> None:
        raise OSError(number, os.strerror(number))  # what the system answers

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SettingsError, match="cannot be locked"), hold_lease(Store(str(tmp_path)), 60, wait=False):
        pass
    settings = load_settings(None, {"lake": {"uri": str(tmp_path / "lake")}, "engine": {"workers": 1}})
    found = {probe.name: probe for probe in check(settings)}["lake: write"]
    assert not found.ok
    assert "cannot be locked" in found.found
    assert not (tmp_path / "lake").exists()
