"""Spark makes the bytes that this machine makes, and where an object differs it is named."""

import datetime as dt
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest
from lakes import make_sample_lake, write_days
from pyspark.sql import SparkSession

from chandlery.commands import show
from chandlery.compare.engines import Difference, Receipt, Side, check_parity, compare_lakes, digest_objects
from chandlery.errors import SettingsError
from chandlery.lake.store import Store
from chandlery.settings.model import Settings, load_settings

PAIRS = ("ltcusd", "neousd")
FOLLOWS_THE_ENGINE = """
import sys
import numpy as np
from chandlery import feature


@feature("engine", unit="1", window="(t − 1, t]", lookback=1)
def engine(bars):
    spec = sys.modules["__main__"].__spec__
    move = np.append(0.0, np.diff(np.log(bars.close)))
    return move if spec is not None and spec.name.startswith("pyspark") else np.abs(move)
"""


def settle(raw: Path, **forecast: object) -> Settings:
    flags = {
        "source": {"uri": str(raw)},
        "lake": {"lease_seconds": 2},
        "forecast": {"horizons": ["1m", "5m"], "min_train": "10d", **forecast},
        "engine": {"workers": 2},
    }
    return load_settings(None, flags)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parity") / "raw"
    write_days(folder, 0, 45)
    return folder


@pytest.mark.slow
def test_spark_makes_the_same_bytes(spark: SparkSession, raw: Path, tmp_path: Path) -> None:
    found = check_parity(settle(raw), "spark", str(tmp_path / "lakes"), keep=True)
    assert (found.equal, found.differences, found.exit_code) == (True, [], 0)
    assert [side.engine for side in found.sides] == ["local", "spark"]
    assert found.sides[0].sha256 == found.sides[1].sha256
    counts = {row.table: row.objects for row in found.tables}
    assert counts.pop("artefacts") > 3
    assert counts == {"candles": 3, "forecasts": 6, "gaps": 3, "lake.json": 1, "ledger": 3, "models": 1, "scores": 1}
    for path in (tmp_path / "lakes" / "local").rglob("*"):  # by hand, once: what the receipt says is so
        name = path.relative_to(tmp_path / "lakes" / "local")
        if path.is_file() and name.parts[0] not in {"state", "runs", "lease.json", ".lease.lock"}:
            assert (tmp_path / "lakes" / "spark" / name).read_bytes() == path.read_bytes()
    assert spark.range(3).count() == 3, "a session that was there goes on"


@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_spark_makes_the_same_bytes_of_real_candles(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    first, last = (int(dt.datetime(2019, month, 1, tzinfo=dt.UTC).timestamp() * 1000) for month in (1, 5))
    for pair in PAIRS:
        candles = pl.read_csv(gzip.decompress((shared / "bitfinex" / f"{pair}.csv.gz").read_bytes()))
        candles.filter(pl.col("time").is_between(first, last)).write_csv(tmp_path / "raw" / f"{pair}.csv")
    found = check_parity(settle(tmp_path / "raw", horizons=["30m"], min_train="30d"), "spark", str(tmp_path / "lakes"))
    assert (found.equal, found.differences) == (True, [])
    assert {row.table: row.objects for row in found.tables}["forecasts"] == len(PAIRS)
    assert list((tmp_path / "lakes").iterdir()) == [], "the lakes are taken away"


def chandlery(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-m", "chandlery", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )


@pytest.mark.full
def test_what_follows_the_engine_is_exit_4_and_named(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "engine.py").write_text(FOLLOWS_THE_ENGINE)
    (tmp_path / "chandlery.toml").write_text(
        "[source]\n"
        f'uri = "{raw}"\n'
        "[lake]\n"
        'uri = "mine"\n'
        "[forecast]\n"
        'horizons = ["1m"]\n'
        'models = ["linear"]\n'
        'min_train = "10d"\n'
        'extensions = ["engine.py"]\n'
        "[engine.spark]\n"
        '"spark.master" = "local[2]"\n'
    )
    ended = chandlery("parity", "--json", folder=tmp_path)
    assert ended.returncode == 4, ended.stderr
    found = json.loads(ended.stdout)
    assert {row["table"] for row in found["tables"] if row["different"]} >= {"artefacts", "forecasts", "scores"}
    assert {row["table"]: row["different"] for row in found["tables"]} | {"candles": 0, "ledger": 0, "gaps": 0} == {
        row["table"]: row["different"] for row in found["tables"]
    }
    assert not (tmp_path / "mine").exists(), "the lake of the settings is not touched"
    assert [Path(side["lake"]).exists() for side in found["sides"]] == [False, False]


@pytest.mark.slow
def test_an_object_that_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = make_sample_lake(tmp_path)
    ours = digest_objects(Store(str(lake)))
    assert {path.split("/")[0] for path in ours} == {
        "artefacts",
        "candles",
        "forecasts",
        "gaps",
        "lake.json",
        "ledger",
        "models",
        "rejects",
        "scores",
    }
    changed, gone = (
        "candles/exchange=bitfinex/interval=1m/symbol=BTCUSD/year=2019/part-0.parquet",
        "scores/exchange=bitfinex/interval=1m/part-0.parquet",
    )
    content = bytearray((lake / changed).read_bytes())
    content[len(content) // 2] ^= 1
    (lake / changed).write_bytes(content)
    (lake / gone).rename(lake / "extra.json")
    (lake / "state" / "note").write_text("outside")
    tables, differences = compare_lakes(ours, digest_objects(Store(str(lake))), "spark")
    assert differences == [
        Difference(changed, "other bytes"),
        Difference("extra.json", "in spark alone"),
        Difference(gone, "in local alone"),
    ]
    assert {row.table: row.different for row in tables if row.different} == {"candles": 1, "extra.json": 1, "scores": 1}
    assert (
        sum(row.size_bytes for row in tables)
        == sum(digest.size_bytes for digest in ours.values()) + (lake / "extra.json").stat().st_size
    )
    sides = [Side(engine, f"there/{engine}", 0.0, 1.5, engine * 2) for engine in ("local", "spark")]
    show.receipt(
        Receipt(False, sides, tables, differences, {"chandlery": "1", "numpy": "2"}, [], ["odd.csv"], False, 4),
        as_json=False,
    )
    shown = capsys.readouterr().out
    for words in (
        f"3 of {len(ours) + 1} objects differ: {changed} (other bytes), extra.json (in spark alone)",
        "--keep",
        "refused: odd.csv",
        "chandlery 1, numpy 2",
        "sha256 locallocal local",
        "sha256 sparkspark spark",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("engine", "folder", "words"),
    [
        ("local", None, "engine 'local', which is the one compared with; expected another"),
        ("ray", None, "engine 'ray'; expected local or spark"),
        ("spark", ".", ". holds held.txt; expected an empty folder"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, folder: str | None, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "held.txt").write_text("mine")
    with pytest.raises(SettingsError, match=words):
        check_parity(settle(tmp_path), engine, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["held.txt"]
