"""In a bucket, the ledger names the refused version of a file by its etag too."""

import hashlib
from pathlib import Path

import polars as pl
import pytest
from hours import FIRST_DAY, LAST_DAY, START_MS, make_settings, put_days
from s3_server import Server
from universe import Source

from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.runs.pipeline import Options, run
from chandlery.settings.model import Settings


@pytest.mark.slow
def test_a_refused_version_is_named_by_its_etag(admin: Server, tmp_path: Path) -> None:
    source = Source(tmp_path / "raw", 7, START_MS)
    name = put_days(source, "BTCUSD", FIRST_DAY, LAST_DAY)
    good = (source.folder / name).read_bytes()
    bucket = Store("s3://crypto-raw/refused", admin.storage)
    held = make_settings(bucket.uri, tmp_path / "lake").model_dump()
    settings = Settings(**{**held, "storage": admin.storage})

    def put(content: bytes) -> str:
        bucket.put(name, content)
        return bucket.list()[0].etag

    def account() -> dict[str, object]:
        return read_table(str(tmp_path / "lake"), "ledger").row(by_predicate=pl.col("source") == name, named=True)

    etag = put(good)
    assert run(settings, Options()).exit_code == 0
    before = account()
    assert (before["etag"], before["refused_etag"]) == (etag, None)
    refused = put(b"nothing of use")
    assert run(settings, Options()).exit_code == 3
    now = account()
    assert (now["etag"], now["refused_etag"]) == (etag, refused)
    assert (now["sha256"], now["modified_at"]) == (before["sha256"], before["modified_at"])
    assert now["refused_sha256"] == hashlib.sha256(b"nothing of use").hexdigest()
    assert put(good) == etag
    assert run(settings, Options()).exit_code == 0
    assert (account()["refused_etag"], account()["refused_sha256"], account()["problem"]) == (None, None, None)
