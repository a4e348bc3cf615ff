"""Processes that are killed around a publication into a bucket: the next run ends in equal bytes, and no read fails."""

import sys
from pathlib import Path

import pytest
from hours import LAST_DAY, START_MS, put_days
from s3_server import Server
from universe import Source

from gate import Gate
from kills import KINDS, Trial, upload

pytestmark = pytest.mark.slow

SETTINGS = '[lake]\nlease_seconds = 2\n[forecast]\nhorizons = ["1h", "4h"]\nmodels = ["linear"]\nmin_train = "60d"\n'


def test_runs_killed_around_a_publication_end_in_equal_bytes(admin: Server, tmp_path: Path) -> None:
    source = Source(tmp_path / "raw", 7, START_MS)
    for symbol in ("BTCUSD", "ETHUSD"):
        put_days(source, symbol, 1, LAST_DAY)
    with (gate := Gate(admin.endpoint)).opened() as endpoint:
        storage = {**admin.storage, "endpoint_url": endpoint}
        config = tmp_path / "chandlery.toml"
        config.write_text(
            SETTINGS + "[storage]\n" + "".join(f'{name} = "{value}"\n' for name, value in storage.items())
        )
        command = [sys.executable, "-m", "chandlery", "run", "--quiet", "--config", str(config)]
        trial = Trial("kills", [*command, "--source", upload(source.folder, admin, "kills")], admin, gate)
        assert set(trial.puts) == set(KINDS)
        assert [trial.round(2 * number) for number in range(1, len(KINDS) + 1)] == [True] * len(KINDS)
