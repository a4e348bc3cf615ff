"""The proxy that counts requests: what it notes, and that it changes nothing of what it passes on."""

import secrets
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from proxy import counting_proxy
from s3_server import Server

from chandlery.lake.lease import check_lease, hold_lease
from chandlery.lake.store import Store
from marked_run import DRIVER, TASKS, mark
from relay import Counted

PAGE = 1_000


def kinds(found: list[Counted]) -> dict[str, int]:
    return dict(Counter(request.kind for request in found))


def test_requests_are_noted_by_kind_with_their_bytes(admin: Server) -> None:
    prefix = secrets.token_hex(4)
    with counting_proxy(admin.endpoint) as (endpoint, relay):
        store = Store(f"s3://crypto-lake/{prefix}", {**admin.storage, "endpoint_url": endpoint, "user_agent": DRIVER})
        store.put("candles/a b=1.parquet", b"123")
        assert store.get("candles/a b=1.parquet") == b"123"
        assert store.get("none") is None
        assert store.head("candles/a b=1.parquet").size_bytes == 3
        assert [entry.path for entry in store.list("candles/")] == ["candles/a b=1.parquet"]
        assert store.put_if_absent("candles/a b=1.parquet", b"") is None
        store.delete("candles/a b=1.parquet")
        found = relay.take()
    assert kinds(found) == {"put": 2, "get": 2, "head": 1, "list": 1, "delete": 1}
    assert {request.agent for request in found} == {DRIVER}
    put = found[0]
    assert (put.bucket, put.key) == ("crypto-lake", f"{prefix}/candles/a b=1.parquet")
    assert (put.sent_bytes, put.status) == (3, 200)
    assert found[1].received_bytes == 3
    assert [request.rewrites_table(f"{prefix}/") for request in found if request.kind == "put"] == [True, False]


def test_the_lease_is_counted_apart(admin: Server) -> None:
    with counting_proxy(admin.endpoint) as (endpoint, relay):
        store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", {**admin.storage, "endpoint_url": endpoint})
        for _ in range(2):
            with hold_lease(store, 60, wait=False) as token:
                check_lease(store, token)
        assert kinds(relay.take()).keys() == {"lease"}


@pytest.mark.slow
def test_further_pages_of_a_listing_are_counted_apart(admin: Server) -> None:
    with counting_proxy(admin.endpoint) as (endpoint, relay):
        store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", {**admin.storage, "endpoint_url": endpoint})
        with ThreadPoolExecutor(32) as threads:
            list(threads.map(lambda number: store.put(f"{number}", b""), range(PAGE + 1)))
        relay.take()
        assert len(store.list()) == PAGE + 1
        assert kinds(relay.take()) == {"list": 1, "page": 1}


def test_a_large_object_in_parts(admin: Server) -> None:
    content = secrets.token_bytes(12_000_000)
    with counting_proxy(admin.endpoint) as (endpoint, relay), tempfile.NamedTemporaryFile() as file:
        store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", {**admin.storage, "endpoint_url": endpoint})
        Path(file.name).write_bytes(content)
        store.put_file("large", Path(file.name))
        assert store.get("large") == content
        found = relay.take()
    assert kinds(found) == {"part": 4, "put": 1, "get": 1}
    assert sum(request.sent_bytes for request in found if request.kind == "part") == len(content)


def test_tasks_are_marked_and_the_driver_is_not(admin: Server) -> None:
    store = Store("s3://crypto-lake/marked", {**admin.storage, "user_agent": DRIVER})
    near = Store("near")
    first, second, local = mark([(store, 1), (store, 2), (near, 3)])
    assert first[0] is second[0]
    assert first[0].options["user_agent"] == TASKS
    assert store.options["user_agent"] == DRIVER
    assert local[0].options == {}
