"""One object as a source, and what is said where it or its bucket is missing."""

import re

import boto3
import pytest
from s3_server import Server

from chandlery.errors import SettingsError
from chandlery.lake.store import Store
from chandlery.runs.listing import list_source, split_source


def found(uri: str, server: Server) -> list[str]:
    folder, pattern = split_source(uri)
    return [entry.path for entry in list_source(Store(folder, server.storage), pattern)]


def test_one_object_is_a_source(admin: Server) -> None:
    Store("s3://crypto-raw/one", admin.storage).put("LTCUSD.csv", b"x")
    assert found("s3://crypto-raw/one/LTCUSD.csv", admin) == ["LTCUSD.csv"]
    assert found("s3://crypto-raw/one/", admin) == ["LTCUSD.csv"]
    assert found("s3://crypto-raw/one/ETHUSD.csv", admin) == []


def test_one_object_of_a_missing_bucket(admin: Server) -> None:
    with pytest.raises(SettingsError, match="no-such-bucket"):
        found("s3://no-such-bucket/LTCUSD.csv", admin)


@pytest.mark.parametrize("name", ["ltc\nusd.csv", "ltc\x7fusd.csv"])
def test_an_object_whose_name_cannot_be_used_is_listed_to_be_refused_alone(admin: Server, name: str) -> None:
    client = boto3.client("s3", endpoint_url=admin.endpoint, region_name="us-east-1")
    client.put_object(Bucket="crypto-raw", Key=f"odd/{name}", Body=b"x")
    try:
        (path,) = found("s3://crypto-raw/odd/", admin)
        assert re.fullmatch(r"ltc\\x(0a|7f)usd\.csv/", path)
    finally:
        client.delete_object(Bucket="crypto-raw", Key=f"odd/{name}")
