"""A URI in any spelling that people and libraries produce is understood by the standard, or refused by name."""

from pathlib import Path

import pytest

from chandlery.errors import SettingsError
from chandlery.lake.store import Store
from chandlery.runs.listing import split_source

FOLDERS = [
    ("{folder}", ""), ("file://{folder}", ""), ("file:{folder}", ""), ("file://localhost{folder}", ""),
    ("{folder}/", ""), ("file://{folder}/", ""), ("FILE://{folder}", ""), ("file://{folder}/a%20b", "a b"),
    ("{folder}/a%20b", "a%20b"), ("{folder}/x:y", "x:y"), ("{folder}/s3:/b", "s3:/b"),
]  # fmt: skip
REFUSED = [
    "s3:/b/lake", "s3:b/lake", "s3:///lake", "s3://", "s3:", "S3:/b", "gs:/b", "az:/b", "abfss:/c@a/b", "s3a://b/lake",
    "s3n://b", "gcs://b", "http://b/lake", "https://b.s3.amazonaws.com/lake", "hdfs:///lake", "hdfs:/b", "dbfs:/lake",
    "file:lake", "file:", "file://host/lake", "file://lake", "foo:/bar", "foo://bar", "C:\\lake", "C:/lake",
    "lake\n", "lake\r", " lake", "lake ", "s3://b/lake\n", "s3://b/l\tke", "s3://b/l\x00ke", "l\u200bke", "\ufefflake",
    "s3://b/a#b", "s3://b/a%20b",
]  # fmt: skip


@pytest.mark.parametrize(("uri", "below"), FOLDERS)
def test_a_uri_of_a_folder_is_that_folder(uri: str, below: str, tmp_path: Path) -> None:
    store = Store(uri.format(folder=tmp_path))
    assert store.is_local
    assert store.root == tmp_path / below
    store.put("a.txt", b"1")
    assert (tmp_path / below / "a.txt").read_bytes() == b"1"
    assert Store(store.address).root == store.root


@pytest.mark.parametrize("uri", REFUSED)
def test_what_is_neither_is_refused_and_creates_nothing(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as caught:
        Store(uri).put("a.txt", b"1")
    assert caught.value.hint
    with pytest.raises(SettingsError):
        Store(split_source(uri)[0])  # as a source
    assert list(tmp_path.iterdir()) == []


def test_a_query_is_no_part_of_a_lake() -> None:
    with pytest.raises(SettingsError, match="has a query"):
        Store("s3://b/a?x=1")


@pytest.mark.parametrize("uri", ["s3://bucket/lake", "S3://bucket/lake", "s3://bucket", "gs://b/a b", "az://c/lake"])
def test_a_uri_of_a_bucket_is_one(uri: str) -> None:
    store = Store(uri)
    assert not store.is_local
    assert store.uri.partition("://")[0].islower()
