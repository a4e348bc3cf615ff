"""One object as a source, and what is said where it or its bucket is missing."""

import pytest
from s3_server import Server

from chandlery.errors import SettingsError
from chandlery.listing import list_source, split_source
from chandlery.storage import Store


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
