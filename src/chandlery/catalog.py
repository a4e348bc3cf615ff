"""The lake's partitions in AWS Glue, for engines that look there: Redshift, Athena, Spark by name."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from chandlery.aws import open_client, translated
from chandlery.errors import TransientError
from chandlery.schema import TABLES
from chandlery.storage import Store
from chandlery.tables import list_partitions, partition_path

__all__ = ["project_values", "register_partitions"]

CREATED_AT_ONCE, DELETED_AT_ONCE = 100, 25  # as much as Glue takes
LISTED = ("exchange", "symbol")  # partition keys whose values Athena cannot count up by itself


def register_partitions(store: Store, database: str) -> int:
    """Make Glue's partitions those of the lake, and Athena's projected symbols those that have one; return how many changed.

    The tables are there: deploy/terraform makes them.

    Raises:
        SettingsError: The database, a table or a right is missing.
        TransientError: AWS refused for load, or did not answer.
    """
    glue = open_client("glue", store.options.get("region"))
    with translated(f"Glue database {database}"):
        return sum(_register(glue, store, database, name) for name in TABLES)


def _register(glue: Any, store: Store, database: str, name: str) -> int:
    table = glue.get_table(DatabaseName=database, Name=name)["Table"]
    keys = [key["Name"] for key in table.get("PartitionKeys", [])]
    wanted = {tuple(part[key] for key in keys): part for part in list_partitions(store, name)}
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=name, ExcludeColumnSchema=True)
    known = {tuple(part["Values"]) for page in pages for part in page["Partitions"]}
    place = {"DatabaseName": database, "TableName": name}
    fresh = [_describe(table, store, name, wanted[values]) | {"Values": list(values)} for values in sorted(wanted.keys() - known)]
    gone = [{"Values": list(values)} for values in sorted(known - wanted.keys())]
    for some in _cut(fresh, CREATED_AT_ONCE):
        _check(glue.batch_create_partition(**place, PartitionInputList=some), name, "AlreadyExistsException")
    for some in _cut(gone, DELETED_AT_ONCE):
        _check(glue.batch_delete_partition(**place, PartitionsToDelete=some), name, "EntityNotFoundException")
    project_values(glue, database, table, list(wanted.values()))
    return len(wanted.keys() ^ known)


def _check(answer: Mapping[str, Any], name: str, harmless: str) -> None:
    """Make sure that a batch did all that it should: what somebody else has done meanwhile does no harm."""
    failed = [error["ErrorDetail"] for error in answer.get("Errors", []) if error["ErrorDetail"]["ErrorCode"] != harmless]
    if failed:
        raise TransientError(f"Glue left out {len(failed)} partitions of {name}: {failed[0]['ErrorCode']}: {failed[0].get('ErrorMessage', '')}", "", "run again")


def _describe(table: Mapping[str, Any], store: Store, name: str, part: Mapping[str, str]) -> dict[str, Any]:
    folder = partition_path(name, part).rpartition("/")[0]
    return {"StorageDescriptor": table["StorageDescriptor"] | {"Location": f"{store.uri}/{folder}/"}}


def project_values(glue: Any, database: str, table: Mapping[str, Any], parts: list[dict[str, str]]) -> None:
    """Name the values of those partition keys that a projection counts up by name.

    Args:
        glue: A client.
        database: The table's.
        table: As Glue describes it.
        parts: Keys of its partitions.
    """
    known = table.get("Parameters", {})
    wanted = {f"projection.{key}.values": ",".join(sorted({part[key] for part in parts})) for key in LISTED if f"projection.{key}.values" in known and parts}
    if wanted.items() <= known.items():
        return
    taken = ("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "TableType")
    glue.update_table(DatabaseName=database, TableInput={name: table[name] for name in taken if name in table} | {"Parameters": {**known, **wanted}})


def _cut(items: list[dict[str, Any]], length: int) -> list[list[dict[str, Any]]]:
    """Return a list in pieces of a length."""
    coming = iter(items)
    return list(iter(lambda: list(islice(coming, length)), []))
