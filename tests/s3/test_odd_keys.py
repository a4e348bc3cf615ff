"""A listing survives its worst entry: what cannot be read is named, what is no file is left out, the rest is read."""

import datetime as dt
import secrets
from collections.abc import Iterator

import polars as pl
import pytest
from listings import GOOD, list_with
from proxy import FaultProxy, fault_proxy
from s3_server import Server

from chandlery.errors import SettingsError
from chandlery.lake import clients
from chandlery.lake.odd_keys import list_all
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.machine import aws
from chandlery.progress import Silent
from chandlery.runs.pipeline import Options, ingest
from chandlery.settings.model import load_settings
from local_hours import write_local

ODD = ["x//BTC-USD.csv", "./ETH-USD.csv", "y/../LTC-USD.csv", "a\nb.csv", "a\rb.csv", "del\x7fete.csv", "//"]
MARKERS = ["", "kraken/", "empty/"]


@pytest.fixture
def proxy(admin: Server) -> Iterator[FaultProxy]:
    with fault_proxy(admin.endpoint) as running:
        yield running


@pytest.fixture
def source(admin: Server) -> Store:
    """A source with a file of candles, and with the objects that consoles put for folders."""
    store = Store(f"s3://crypto-raw/{secrets.token_hex(4)}", admin.storage)
    store.put(GOOD, write_local(dt.datetime(2024, 1, 1, tzinfo=dt.UTC), 100, "UTC"))
    client = aws.open_client("s3", "us-east-1", admin.endpoint, by_path=True)
    for marker in MARKERS:
        client.put_object(Bucket="crypto-raw", Key=f"{store.uri.removeprefix('s3://crypto-raw/')}/{marker}", Body=b"")
    return store


def bring(source: Store, admin: Server, endpoint: str) -> tuple[int, list[str], pl.DataFrame]:
    lake = f"s3://crypto-lake/{secrets.token_hex(4)}"
    given = {
        "source": {"uri": source.uri, "storage": {"endpoint_url": endpoint}},
        "lake": {"uri": lake},
        "storage": admin.storage,
        "engine": {"workers": 1},
    }
    report = ingest(load_settings(None, given), Options(), Silent())
    return report.exit_code, report.messages, read_table(lake, "ledger", options=admin.storage)


def test_objects_that_stand_for_folders_are_no_files(source: Store, admin: Server) -> None:
    code, messages, ledger = bring(source, admin, admin.endpoint)
    assert (code, messages) == (0, [])
    assert ledger["source"].to_list() == [GOOD]


def test_an_empty_file_is_refused_by_name(source: Store, admin: Server) -> None:
    source.put("kraken/ETH-USD_60.csv", b"")
    code, messages, _ = bring(source, admin, admin.endpoint)
    assert code == 3
    assert "kraken/ETH-USD_60.csv is empty" in messages[0]


@pytest.mark.parametrize("key", ODD)
def test_a_key_that_no_client_can_ask_for_is_named_and_the_others_are_read(
    key: str, source: Store, admin: Server, proxy: FaultProxy
) -> None:
    proxy.fault = list_with(source, [key, "kraken/_SUCCESS"])
    code, messages, ledger = bring(source, admin, proxy.url)
    assert code == 3
    assert len(messages) == 1
    assert (
        key.encode("unicode_escape").decode().replace("\\n", "\\x0a").replace("\\r", "\\x0d").rstrip("/") in messages[0]
    )
    assert ledger.filter(pl.col("status") == "read")["source"].to_list() == [GOOD]


def test_without_the_sdk_the_key_is_named_with_the_ways_out(
    source: Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SettingsError("boto3 is not installed", "the extra `aws`", "pip install 'chandlery[aws]'")

    monkeypatch.setattr(clients, "open_client", refuse)
    proxy.fault = list_with(source, ODD[:1])
    store = Store(source.uri, {**source.options, "endpoint_url": proxy.url})
    with pytest.raises(SettingsError, match=r"name cannot be used: .*x//BTC-USD.csv.*pip install 'chandlery\[aws\]'"):
        list_all(store)
