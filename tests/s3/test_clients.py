"""Options of a store: an endpoint without encryption is used as it is given, and what is not known is named."""

import pytest
from s3_server import Server

from chandlery.errors import SettingsError
from chandlery.lake.clients import CLIENT_OPTIONS
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
        ({"region": " "}, "region' is empty"),
        ({"endpoint_url": ""}, "endpoint_url' is empty"),
        ({"endpoint_url": "127.0.0.1:80"}, "no address"),
        ({"endpoint_url": "http://a b"}, "no address"),
        ({"endpoint_url": "http://"}, "no address"),
        ({"endpoint_url": "htp://host"}, "no address"),
        ({"endpoint_url": "http://host?x=1"}, "no address"),
        ({"aws_metadata_endpoint": "nonsense"}, "no address"),
        ({"proxy_url": "nonsense"}, "no address of a proxy"),
        ({"proxy_url": "http://"}, "no address of a proxy"),
        ({"virtual_hosted_style_request": "maybe"}, "maybe"),
        ({"region": "a", "aws_region": "b"}, "region"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_before_anything_is_asked(options: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Store("s3://nowhere/lake", options).get("a")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_METADATA_ENDPOINT"])
@pytest.mark.parametrize("value", ["127.0.0.1:80", "http://a b", "nonsense"])
def test_a_variable_with_an_address_that_is_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} = .* is no address"):
        Store("s3://nowhere/lake", {"region": "us-east-1"}).get("a")


@pytest.mark.parametrize(
    "name", sorted(CLIENT_OPTIONS - {"proxy_url", "root_certificate", "proxy_ca_certificate", "http2_only"})
)
def test_each_option_of_the_client_is_taken_or_refused_by_name(admin: Server, name: str) -> None:
    for value in ("true", "3s", "4", "x"):
        store = Store("s3://crypto-lake/options", {**admin.storage, name: value})
        try:
            store.put("a", b"1")
            assert store.get("a") == b"1"
        except SettingsError as error:
            assert "storage settings" in str(error) or "no object store" in str(error)  # noqa: PT017 - or it is taken
