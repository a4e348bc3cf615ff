"""Options of a store: an endpoint without encryption is used as it is given, and what is not known is named."""

import pytest
from s3_server import Server

from chandlery.errors import SettingsError
from chandlery.lake.store import Store


@pytest.mark.parametrize(
    "where", ["endpoint_url", "ENDPOINT", "aws_endpoint", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
)
def test_an_endpoint_without_encryption_needs_no_option(
    admin: Server, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"region": "us-east-1"}
    if where.startswith("AWS"):
        monkeypatch.setenv(where, admin.endpoint)
    else:
        options[where.lower()] = admin.endpoint
    store = Store("s3://crypto-lake/options", options)
    store.put("a", b"1")
    assert store.get("a") == b"1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"regoin": "us-east-1"}, "regoin"),
        ({"region": "us-east-1\n"}, "'region' has a control character"),
        ({"timeout": "soon"}, "soon"),
        ({"region": "a", "aws_region": "b"}, "region"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_before_anything_is_asked(options: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Store("s3://nowhere/lake", options).get("a")
