"""Credentials reach no error text and no record, whatever carried them."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from chandlery.errors import SettingsError, StoreUnavailableError
from chandlery.errors.masking import find_credentials, mask
from chandlery.lake.store import Store
from chandlery.runs.pipeline import Options, ingest
from chandlery.settings.model import Settings, load_settings

pytestmark = pytest.mark.slow

WORD = "hUnTer-2"
URIS = [
    f"s3://KEY:{WORD}@bucket/l",
    f"s3://KEY:a/{WORD}@bucket/l",
    f"s3://{WORD}@bucket/l",
    f"https://me:{WORD}@host/l",
    f"az://x:{WORD}@container/l",
    f"abfss://box:{WORD}@account.dfs.core.windows.net/l",
    f"s3://bucket/l?X-Amz-Signature={WORD}",
    f"az://container/l?sv=2020&sig={WORD}",
    f"S3://KEY:{WORD}@bucket/l",
]


def chandlery(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "chandlery", *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize("uri", URIS)
def test_a_uri_with_credentials_is_refused_and_not_shown(uri: str) -> None:
    sections = [{"source": {"uri": uri}}, {"lake": {"uri": uri}}, {"submit": {"staging": uri}}]
    sections += [{"storage": {"endpoint_url": uri}}, {"storage": {"proxy_url": uri}}]
    for section in sections:
        with pytest.raises(SettingsError) as met:
            load_settings(None, section)
        assert WORD not in str(met.value)
        with pytest.raises(ValidationError) as wrong:
            Settings(**section)
        assert WORD not in str(wrong.value)
    with pytest.raises(SettingsError) as met:
        Store(uri)
    assert WORD not in str(met.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--source", "raw", "--lake", URIS[0]),
        ("run", "--source", URIS[6], "--lake", "lake"),
        ("tables", "--lake", URIS[3]),
        ("migrate", URIS[0], "new"),
        ("migrate", "old", URIS[4]),
        ("migrate", "--exchange", "kraken", URIS[0]),
        ("report", "--lake", "lake", "--output", URIS[0]),
        ("parity", "--source", "raw", "--lake", URIS[1]),
        ("tables", "--lake", f"s3://bucket/l?{WORD}"),
        ("run", "--config", URIS[0]),
        ("init", "--path", URIS[0]),
    ],
)
def test_no_command_prints_credentials(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ended = chandlery(*arguments, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert WORD not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "name",
    "bearer authorization passwd sse_customer_key_base64 aws_sse_customer_key_base64 secret_access_key api_key".split(),
)
def test_options_that_carry_credentials_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="keys never stand in settings") as met:
        load_settings(None, {"storage": {name: WORD}})
    assert WORD not in str(met.value)


@pytest.mark.parametrize("value", [f"http://me:{WORD}@host:3128", f"me:{WORD}@host:3128", f"http://host?key={WORD}"])
def test_a_proxy_with_a_password_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="proxy_url") as met:
        load_settings(None, {"storage": {"proxy_url": value}})
    assert WORD not in str(met.value)


def test_a_record_keeps_values_of_harmless_options_alone(tmp_path: Path) -> None:
    rows = [f"{1_502_942_400_000 + 60_000 * step},1,1,1,1,1" for step in range(200)]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "ltcusd.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    java = f"-Dx.password={WORD}"
    storage = {"region": "eu-west-1", "endpoint_url": "http://127.0.0.1:9000", "foo": WORD, "user_agent": "mine"}
    sections = {"source": {"uri": str(tmp_path / "raw")}, "lake": {"uri": str(tmp_path / "lake")}, "storage": storage}
    spark = {"spark.driver.extraJavaOptions": java, "spark.executor.memory": "2g", "spark.executorEnv.X": WORD}
    ingest(load_settings(None, sections | {"engine": {"workers": 1, "spark": spark}}), Options())
    (record,) = (tmp_path / "lake" / "runs").glob("*Z-*.json")
    assert WORD not in record.read_text()
    settings = json.loads(record.read_text())["settings"]
    assert settings["storage"] == storage | {"foo": "…"}
    kept = {"spark.driver.extraJavaOptions": "…", "spark.executor.memory": "2g", "spark.executorEnv.X": "…"}
    assert settings["engine"]["spark"] == kept
    assert not any(WORD.encode() in path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "text",
    [
        f"http://me:{WORD}@host:3128/ did not answer",
        f"https://b.s3.amazonaws.com/l?X-Amz-Credential=a&X-Amz-Signature={WORD}",
        f"-Dx.password={WORD}",
        f"Authorization: Bearer {WORD}",
        f"Authorization: Basic {WORD}",
        f"<AWSAccessKeyId>{WORD}</AWSAccessKeyId>",
        f"secret_access_key={WORD}",
    ],
)
def test_every_error_text_passes_the_mask(text: str) -> None:
    error = StoreUnavailableError(text, text, text)
    for each in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301 - made a moment ago
        assert WORD not in f"{each} {each!r} {each.found} {each.expected} {each.hint}"


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/2019-0?.csv",
        "s3://bucket/symbol=LTC/202?/*.csv",
        "s3://bucket/a@2x.csv",
        "http://[::1]:9000/bucket/a@2x",
        "http://localhost:9000",
        "abfss://container@account.dfs.core.windows.net/l",
        "raw/a@b:c.csv",
        "k8s://https://host:443",
    ],
)
def test_what_carries_no_credentials_is_left_as_it_is(uri: str) -> None:
    assert find_credentials(uri) == ""
    assert mask(f"{uri}; expected another") == f"{uri}; expected another"
