"""The lake's partitions in AWS Glue, for engines that find tables there: Redshift, Athena, Spark."""

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

CREATED_AT_ONCE, DELETED_AT_ONCE = 100, 25  # Glue's limits for a batch
LISTED = ("exchange", "interval", "symbol")  # partition keys whose values Athena's projections take as a list
HORIZON_RANGE, HORIZON_STEP = (f"projection.horizon_minutes.{setting}" for setting in ("range", "interval"))


def register_partitions(store: Store, database: str) -> int:
    """Bring Glue's partitions and Athena's projections in step with the lake; return how many partitions changed.

    The tables exist already: deploy/terraform creates them. Glue is read before the lake is listed, so that the
    partitions of a run that publishes in the meantime are not deleted.

    Raises:
        SettingsError: The database, a table or a permission is missing, or a table is that of another lake.
        TransientError: AWS rejected the request because of load, or did not answer.
    """
    glue = open_client("glue", store.options.get("region"))
    with translated(f"Glue database {database}"):
        tables = [glue.get_table(DatabaseName=database, Name=name)["Table"] for name in TABLES]
        for table in tables:
            _check_table(table, store, database)
        return sum(_register(glue, store, database, table) for table in tables)


def _check_table(table: Mapping[str, Any], store: Store, database: str) -> None:
    """Check that a table is one of this lake: otherwise, the partitions of another lake would be deleted.

    Raises:
        SettingsError: It is not, or its partition keys are not those of this version.
    """
    name, location = table["Name"], table.get("StorageDescriptor", {}).get("Location", "")
    if location.rstrip("/") != f"{store.uri}/{name}":
        raise SettingsError(
            f"table {name} of Glue database {database} has the location {location or '(none)'}",
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
    columns = _names(table)  # a partition has its own copy, which lacks columns added after it was registered
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
    outdated = [values for values, location in sorted(known.items()) if wanted.get(values) != location]
    fresh = [values for values, location in sorted(wanted.items()) if known.get(values) != location]
    for some in _cut(outdated, DELETED_AT_ONCE):
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
    return len({*outdated, *fresh})


def _names(described: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns of a table or a partition, without partition keys."""
    return [column["Name"] for column in described.get("StorageDescriptor", {}).get("Columns", [])]


def _check(answer: Mapping[str, Any], name: str, harmless: str) -> None:
    """Raise if any item of a Glue batch failed with an error other than `harmless`."""
    failed = [
        error["ErrorDetail"] for error in answer.get("Errors", []) if error["ErrorDetail"]["ErrorCode"] != harmless
    ]
    if failed:
        first = f"{failed[0]['ErrorCode']}: {failed[0].get('ErrorMessage', '')}"
        raise TransientError(f"Glue rejected {len(failed)} partitions of {name}: {first}", "", "run again")


def project_values(glue: Any, database: str, table: Mapping[str, Any], parts: list[dict[str, str]]) -> None:
    """Update Athena's projections of a table: names are listed one by one, horizons are given as a range.

    Args:
        glue: A client of Glue.
        database: The database of the table.
        table: The table as Glue describes it.
        parts: The keys of its partitions.
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
    """Return the range and the step of a projection that covers `horizons` and its present range.

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
    """Divide a list into lists of `length` items; the last one may be shorter."""
    remaining = iter(items)
    return list(iter(lambda: list(islice(remaining, length)), []))
