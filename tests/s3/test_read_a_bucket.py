"""The snippets of docs/reading.md read a bucket as they read a folder."""

from pathlib import Path

import pytest
from s3_server import Server
from snippets import check_tables, find_snippets, read_wanted, run_snippet

from chandlery.lake.store import Store

FOLDERS = ("candles", "forecasts", "scores", "ledger")


@pytest.mark.slow
@pytest.mark.parametrize(("section", "number"), [("Polars", 0), ("pandas", 0), ("DuckDB", 1)])
def test_snippets_read_a_bucket(
    admin: Server, monkeypatch: pytest.MonkeyPatch, sample_lake: Path, section: str, number: int
) -> None:
    store = Store("s3://other-lake/reading", admin.storage)
    for path in sample_lake.rglob("*.parquet"):
        name = path.relative_to(sample_lake)
        if name.parts[0] in FOLDERS:
            store.put_changed(str(name), path.read_bytes())
    for name, value in {
        "ENDPOINT_URL": admin.storage["endpoint_url"],
        "REGION": admin.storage["region"],
        "ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    check_tables(run_snippet(find_snippets(section)[number], store.uri), read_wanted(sample_lake))
