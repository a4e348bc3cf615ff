"""The lake's partitions in AWS Glue, for engines that look there: Redshift, Athena, Spark by name."""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

from chandlery.errors import SettingsError, TransientError
from chandlery.lake.store import Store
from chandlery.lake.tables import list_partitions, partition_path
from chandlery.machine.aws import open_client, translated
from chandlery.schema import TABLES

__all__ = ["project_values", "register_partitions"]

CREATED_AT_ONCE, DELETED_AT_ONCE = 100, 25  # as much as Glue takes
LISTED = ("exchange", "interval", "symbol")  # partition keys whose values Athena cannot count up by itself
HORIZON_RANGE, HORIZON_STEP = (f"projection.horizon_minutes.{setting}" for setting in ("range", "interval"))


def register_partitions(store: Store, database: str) -> int:
    """Make Glue's partitions those of the lake, and Athena's projected symbols those that have one; return how many changed.

    The tables are there: deploy/terraform makes them. Glue is asked before the lake is listed, so that a run
    that publishes meanwhile loses nothing.

    Raises:
        SettingsError: The database, a table or a right is missing, or a table is another lake's.
        TransientError: AWS refused for load, or did not answer.
    """
    glue = open_client("glue", store.options.get("region"))
    with translated(f"Glue database {database}"):
        tables = [glue.get_table(DatabaseName=database, Name=name)["Table"] for name in TABLES]
        for table in tables:
            _check_table(table, store, database)
        return sum(_register(glue, store, database, table) for table in tables)


def _check_table(table: Mapping[str, Any], store: Store, database: str) -> None:
    """Make sure that a table is one of this lake: another lake's readers would see its partitions gone.

    Raises:
        SettingsError: It is not.
    """
    name, location = table["Name"], table.get("StorageDescriptor", {}).get("Location", "")
    if location.rstrip("/") != f"{store.uri}/{name}":
        raise SettingsError(
            f"table {name} of Glue database {database} lies at {location or 'no place'}",
            f"{store.uri}/{name}/",
            'set [lake] catalog = "" for a lake that Glue does not know, or apply deploy/terraform for this one',
        )
    keys = tuple(key["Name"] for key in table.get("PartitionKeys", []))
    if keys != TABLES[name].partitions:
        raise SettingsError(
            f"table {name} of Glue database {database} has the partition keys {', '.join(keys) or '(none)'}",
            ", ".join(TABLES[name].partitions),
            "apply the deploy/terraform of this version",
        )


def _register(glue: Any, store: Store, database: str, table: Mapping[str, Any]) -> int:
    name = table["Name"]
    place = {"DatabaseName": database, "TableName": name}
    pages = glue.get_paginator("get_partitions").paginate(**place)
    columns = _names(table)  # a partition has its own copy, which lacks what was added after it was registered
    known = {
        tuple(part["Values"]): part.get("StorageDescriptor", {}).get("Location") if _names(part) == columns else ""
        for page in pages
        for part in page["Partitions"]
    }
    parts = list_partitions(store, name)
    wanted = {
        tuple(
            part[key] for key in TABLES[name].partitions
        ): f"{store.uri}/{partition_path(name, part).rpartition('/')[0]}/"
        for part in parts
    }
    gone = [values for values, location in sorted(known.items()) if wanted.get(values) != location]
    fresh = [values for values, location in sorted(wanted.items()) if known.get(values) != location]
    for some in _cut(gone, DELETED_AT_ONCE):
        _check(
            glue.batch_delete_partition(**place, PartitionsToDelete=[{"Values": list(values)} for values in some]),
            name,
            "EntityNotFoundException",
        )
    for some in _cut(fresh, CREATED_AT_ONCE):
        described = [
            {"Values": list(values), "StorageDescriptor": table["StorageDescriptor"] | {"Location": wanted[values]}}
            for values in some
        ]
        _check(glue.batch_create_partition(**place, PartitionInputList=described), name, "AlreadyExistsException")
    project_values(glue, database, table, parts)
    return len({*gone, *fresh})


def _names(described: Mapping[str, Any]) -> list[str]:
    """Return the columns of a table or a partition, without partition keys."""
    return [column["Name"] for column in described.get("StorageDescriptor", {}).get("Columns", [])]


def _check(answer: Mapping[str, Any], name: str, harmless: str) -> None:
    """Make sure that a batch did all that it should: what somebody else has done meanwhile does no harm."""
    failed = [
        error["ErrorDetail"] for error in answer.get("Errors", []) if error["ErrorDetail"]["ErrorCode"] != harmless
    ]
    if failed:
        raise TransientError(
            f"Glue left out {len(failed)} partitions of {name}: {failed[0]['ErrorCode']}: {failed[0].get('ErrorMessage', '')}",
            "",
            "run again",
        )


def project_values(glue: Any, database: str, table: Mapping[str, Any], parts: list[dict[str, str]]) -> None:
    """Let Athena's projections of a table cover the partitions of all series: names one by one, horizons by a range.

    Args:
        glue: A client.
        database: The table's.
        table: As Glue describes it.
        parts: Keys of its partitions.
    """
    known = table.get("Parameters", {})
    wanted = {
        f"projection.{key}.values": ",".join(sorted({part[key] for part in parts}))
        for key in LISTED
        if f"projection.{key}.values" in known and parts
    }
    if HORIZON_RANGE in known:
        wanted |= project_horizons(known, {int(part["horizon_minutes"]) for part in parts})
    if wanted.items() <= known.items():
        return
    taken = ("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "TableType")
    described = {name: table[name] for name in taken if name in table}
    glue.update_table(DatabaseName=database, TableInput=described | {"Parameters": {**known, **wanted}})


def project_horizons(known: Mapping[str, str], horizons: set[int]) -> dict[str, str]:
    """Return the range and the step of a projection that covers some horizons and what it covers already.

    Example:
        >>> held = {"projection.horizon_minutes.range": "30,240", "projection.horizon_minutes.interval": "30"}
        >>> project_horizons(held, {60, 1440})
        {'projection.horizon_minutes.range': '30,1440', 'projection.horizon_minutes.interval': '30'}
    """
    first, last = (int(end) for end in known[HORIZON_RANGE].split(","))
    step = int(known.get(HORIZON_STEP, "1"))
    everything = {first, last, *horizons}
    ends = (min(everything), max(everything))
    apart = [horizon - ends[0] for horizon in everything] + ([step] if last > first else [])
    return {HORIZON_RANGE: f"{ends[0]},{ends[1]}", HORIZON_STEP: str(math.gcd(*apart) or 1)}


def _cut(items: list[tuple[str, ...]], length: int) -> list[list[tuple[str, ...]]]:
    """Return a list in pieces of a length."""
    coming = iter(items)
    return list(iter(lambda: list(islice(coming, length)), []))
