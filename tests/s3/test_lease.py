"""The lease on a real S3 server, where somebody has written something else into it."""

import pytest
from s3_server import Server

from chandlery.errors import LeaseHeldError
from chandlery.lease import check_lease, hold_lease
from chandlery.storage import Store

pytestmark = pytest.mark.s3

LEASE = "lease.json"


@pytest.mark.parametrize("content", [b"{garbage", b'{"owner": "\xff"}', b""])
def test_a_lease_that_says_nothing_runs_out(admin: Server, content: bytes) -> None:
    store = Store("s3://crypto-lake/garbled", admin.storage)
    store.put(LEASE, content)
    with hold_lease(store, 0.2, wait=False) as token:
        check_lease(store, token)
        store.put(LEASE, content)
        with pytest.raises(LeaseHeldError):
            check_lease(store, token)


def test_a_lease_for_ever_holds(admin: Server) -> None:
    store = Store("s3://crypto-lake/eternal", admin.storage)
    store.put(LEASE, b'{"owner": "somebody", "nonce": "", "seconds": 1e300}')
    with pytest.raises(LeaseHeldError), hold_lease(store, 0.2, wait=False):
        pass
