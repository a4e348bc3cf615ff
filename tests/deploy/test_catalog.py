"""What a run tells AWS Glue, on moto's: the partitions of all tables, those that came and those that went."""

from pathlib import Path
from typing import Any

import pytest
from aws import REGION, Cloud
from lakes import write_days

from chandlery.errors import SettingsError
from chandlery.lake.store import Store
from chandlery.lake.tables import list_partitions, partition_path
from chandlery.runs.pipeline import Options, RunReport, run
from chandlery.schema import TABLES
from chandlery.settings.model import load_settings

pytestmark = [pytest.mark.s3, pytest.mark.slow]

LAKE = "s3://crypto-lake/catalogued"


@pytest.fixture
def glue(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return cloud.client("glue")


def bring_up_to_date(cloud: Cloud, source: Path, database: str, *, prune: bool = False) -> RunReport:
    flags = {
        "source": {"uri": str(source)},
        "lake": {"uri": LAKE, "lease_seconds": 2, "catalog": database},
        "storage": cloud.server.storage,
        "forecast": {"horizons": ["1m", "5m"], "min_train": "10d", "models": ["linear"]},
        "engine": {"workers": 1},
    }
    return run(load_settings(None, flags), Options(prune=prune))


def known(glue: Any, database: str, table: str) -> dict[tuple[str, ...], str]:
    """Return where the partitions of a table lie."""
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table)
    return {
        tuple(part["Values"]): part["StorageDescriptor"]["Location"] for page in pages for part in page["Partitions"]
    }


def there(cloud: Cloud, table: str) -> dict[tuple[str, ...], str]:
    parts = list_partitions(Store(LAKE, cloud.server.storage), table)
    return {
        tuple(
            part[key] for key in TABLES[table].partitions
        ): f"{LAKE}/{partition_path(table, part).rpartition('/')[0]}/"
        for part in parts
    }


def projected(glue: Any, database: str, table: str, setting: str) -> str:
    """Return a setting of a table's projection, as in symbol.values."""
    return str(glue.get_table(DatabaseName=database, Name=table)["Table"]["Parameters"][f"projection.{setting}"])


def test_partitions_follow_the_lake(cloud: Cloud, glue: Any, tmp_path: Path) -> None:
    database = cloud.make_database("follows", LAKE)
    write_days(tmp_path, 0, 40, symbols=2)
    bring_up_to_date(cloud, tmp_path, database)
    assert len(there(cloud, "candles")) == 2
    for table in TABLES:
        assert known(glue, database, table) == there(cloud, table)
    assert projected(glue, database, "candles", "symbol.values") == "BTCUSD,ETHUSD"
    for table in TABLES:
        known_as = {"unknown", "none"}  # none where the table has no partition: as it was
        assert projected(glue, database, table, "exchange.values") in known_as
    assert projected(glue, database, "scores", "interval.values") == "1m"
    horizons = [projected(glue, database, "forecasts", f"horizon_minutes.{name}") for name in ("range", "interval")]
    assert horizons == ["1,60", "1"]
    assert bring_up_to_date(cloud, tmp_path, database).run_id is None
    write_days(tmp_path, 0, 40, symbols=3)
    bring_up_to_date(cloud, tmp_path, database)
    assert projected(glue, database, "forecasts", "symbol.values") == "BTCUSD,ETHUSD,XRPUSD"
    next(tmp_path.glob("*eth*")).unlink()
    bring_up_to_date(cloud, tmp_path, database, prune=True)
    assert len(there(cloud, "candles")) == 2
    for table in TABLES:
        assert known(glue, database, table) == there(cloud, table)
    assert projected(glue, database, "candles", "symbol.values") == "BTCUSD,XRPUSD"


def test_a_database_that_is_not_there_is_told_and_made_up_for(cloud: Cloud, glue: Any, tmp_path: Path) -> None:
    write_days(tmp_path, 0, 40, symbols=2)
    with pytest.raises(SettingsError, match="Glue database late: EntityNotFoundException"):
        bring_up_to_date(cloud, tmp_path, "late")
    cloud.make_database("late", LAKE)
    assert bring_up_to_date(cloud, tmp_path, "late").run_id is None
    assert known(glue, "late", "candles") == there(cloud, "candles")


def test_what_somebody_else_did_in_glue_is_mended_by_a_run_that_has_nothing_to_do(
    cloud: Cloud, glue: Any, tmp_path: Path
) -> None:
    database = cloud.make_database("meddled", LAKE)
    write_days(tmp_path, 0, 40, symbols=2)
    bring_up_to_date(cloud, tmp_path, "")
    bring_up_to_date(cloud, tmp_path, database)
    assert known(glue, database, "candles") == there(cloud, "candles")
    first, *others = sorted(known(glue, database, "candles"))
    place = {"DatabaseName": database, "TableName": "candles"}
    glue.update_partition(
        **place,
        PartitionValueList=list(first),
        PartitionInput={"Values": list(first), "StorageDescriptor": {"Location": "s3://elsewhere/"}},
    )
    glue.delete_partition(**place, PartitionValues=list(others[0]))
    assert known(glue, database, "candles") != there(cloud, "candles")
    assert bring_up_to_date(cloud, tmp_path, database).run_id is None
    assert known(glue, database, "candles") == there(cloud, "candles")


def test_tables_of_another_lake_are_left_alone(cloud: Cloud, glue: Any, tmp_path: Path) -> None:
    database = cloud.make_database("others", "s3://crypto-lake/another")
    glue.batch_create_partition(
        DatabaseName=database,
        TableName="candles",
        PartitionInputList=[
            {"Values": ["bitfinex", "LTCUSD", "2019"], "StorageDescriptor": {"Location": "s3://crypto-lake/another/"}}
        ],
    )
    write_days(tmp_path, 0, 40, symbols=2)
    with pytest.raises(
        SettingsError,
        match=(
            "table candles of Glue database others has the location s3://crypto-lake/another/candles/; expected"
            " s3://crypto-lake/catalogued/candles/"
        ),
    ):
        bring_up_to_date(cloud, tmp_path, database)
    assert list(known(glue, database, "candles")) == [("bitfinex", "LTCUSD", "2019")]


def test_a_partition_registered_before_a_column_was_added_is_registered_again(
    cloud: Cloud, glue: Any, tmp_path: Path
) -> None:
    database = cloud.make_database("columns", LAKE)
    write_days(tmp_path, 0, 2, symbols=1)
    bring_up_to_date(cloud, tmp_path, database)
    place = {"DatabaseName": database, "TableName": "candles"}
    before = glue.get_partitions(**place)["Partitions"]
    older = before[0]["StorageDescriptor"] | {"Columns": before[0]["StorageDescriptor"]["Columns"][:-1]}
    values = before[0]["Values"]
    described = {"Values": values, "StorageDescriptor": older}
    glue.update_partition(**place, PartitionValueList=values, PartitionInput=described)
    bring_up_to_date(cloud, tmp_path, database)
    columns = [part["StorageDescriptor"]["Columns"] for part in glue.get_partitions(**place)["Partitions"]]
    assert columns == [part["StorageDescriptor"]["Columns"] for part in before]
