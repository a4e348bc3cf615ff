"""A store that answers 503: retried for a while, then told as worth running again."""

import secrets

import pytest
from proxy import busy_proxy
from s3_server import Server

from chandlery.errors import StoreUnavailableError
from chandlery.lake.store import Store


def test_a_few_refusals_are_retried(admin: Server) -> None:
    with busy_proxy(admin.endpoint, 3) as endpoint:
        store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", {**admin.storage, "endpoint_url": endpoint})
        store.put("one", b"1")
        assert store.get("one") == b"1"


@pytest.mark.slow
def test_many_refusals_are_told_as_worth_running_again(admin: Server) -> None:
    with busy_proxy(admin.endpoint, 10_000) as endpoint:
        store = Store(f"s3://crypto-lake/{secrets.token_hex(4)}", {**admin.storage, "endpoint_url": endpoint})
        with pytest.raises(StoreUnavailableError) as caught:
            store.get("one")
    assert caught.value.exit_code == 5
    assert "run again" in str(caught.value)
