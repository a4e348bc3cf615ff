"""The tables rights.csv and services.csv: who may do what, where; and what AWS is asked for each cell of them."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from policy import Request

HERE = Path(__file__).parent
WHO = ("pipeline", "scheduler", "analyst", "auditor", "stranger")
BUCKETS = ("raw", "lake", "staging", "other")
VERBS = ("get", "put", "delete", "list", "copy", "take", "multipart")
ROOM = {
    "pipeline": "lake/candles/",
    "scheduler": "staging/jobs/",
    "analyst": "staging/athena/",
    "auditor": "staging/jobs/",
    "stranger": "staging/jobs/",
}
POLICY_CHANGES = (
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutBucketPublicAccessBlock",
    "s3:DeleteBucket",
)
KEY_CHANGES = (
    "kms:PutKeyPolicy",
    "kms:CreateGrant",
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKeyRotation",
)


@dataclass(frozen=True)
class Names:
    """Names that the server has given.

    Args:
        region: Where all lies.
        buckets: Names of the buckets, by what they are called here.
        keys: ARNs of their keys likewise.
        things: What services.csv names: the ARNs that AWS looks at.
        context: What else AWS knows of each of these, for conditions.
    """

    region: str
    buckets: Mapping[str, str]
    keys: Mapping[str, str]
    things: Mapping[str, tuple[str, ...]]
    context: Mapping[str, Mapping[str, str]]

    def split(self, place: str) -> tuple[str, str]:
        """Return a place's bucket and prefix."""
        bucket, _, prefix = place.partition("/")
        return self.buckets[bucket], prefix

    def key_of(self, place: str) -> str:
        """Return the object of a place that is asked for."""
        prefix = self.split(place)[1]
        return prefix if prefix and not prefix.endswith("/") else f"{prefix}object"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Args:
        who: A role.
        verb: What they try: a verb, or an action of AWS.
        where: A place, or a thing.
        allowed: Whether the table lets them.
    """

    who: str
    verb: str
    where: str
    allowed: bool

    def __str__(self) -> str:
        return f"{self.who} {self.verb} {self.where}: the table says {'allowed' if self.allowed else 'refused'}"


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of a table beside this file; blanks around values are for the eye."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        rows = [[value.strip() for value in row] for row in csv.reader(file)]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def list_objects() -> list[Cell]:
    """Return the cells of rights.csv; to take is to copy from there into one's own room, which needs the right to get
    there and to put here.
    """
    rows = {row["where"]: row for row in read_table("rights.csv")}
    may = {(who, where): set(row[who].split()) for where, row in rows.items() for who in WHO}
    unknown = {verb for verbs in may.values() for verb in verbs} - set(VERBS)
    if unknown:
        raise ValueError(f"found {unknown} in rights.csv, expected {VERBS}")
    for (who, where), verbs in may.items():
        if "get" in verbs and "put" in may[who, ROOM[who]]:
            may[who, where] = verbs | {"take"}
    return [Cell(who, verb, where, verb in verbs) for (who, where), verbs in may.items() for verb in VERBS]


def list_changes() -> list[Cell]:
    """Return what nobody may: to change a bucket's policy and the like, or a key."""
    return [
        Cell(who, action, bucket, allowed=False)
        for bucket in BUCKETS
        for action in (*POLICY_CHANGES, *KEY_CHANGES)
        for who in WHO
    ]


def list_services() -> list[Cell]:
    """Return the cells of services.csv."""
    return [
        Cell(who, row["action"], row["on"], who in row["who may"].split())
        for row in read_table("services.csv")
        for who in WHO
    ]


def ask(cell: Cell, names: Names) -> list[Request]:
    """Return what AWS decides before it does what a cell says: all of it has to be allowed."""
    thing = f"{cell.who} role" if cell.where == "own role" else cell.where
    if thing in names.things:
        return [Request(cell.verb, arn, context=names.context.get(thing, {})) for arn in names.things[thing]]
    if cell.where in BUCKETS:
        return [
            Request(
                cell.verb,
                names.keys[cell.where] if cell.verb.startswith("kms:") else f"arn:aws:s3:::{names.buckets[cell.where]}",
                context={"aws:SecureTransport": "true"},
            )
        ]
    return list(_ask_objects(cell, names))


def _ask_objects(cell: Cell, names: Names) -> Iterator[Request]:
    def on(action: str, place: str, **more: str) -> Request:
        bucket, prefix = names.split(place)
        resource = (
            f"arn:aws:s3:::{bucket}" if action == "s3:ListBucket" else f"arn:aws:s3:::{bucket}/{names.key_of(place)}"
        )
        context = {"aws:SecureTransport": "true"} | ({"s3:prefix": prefix} if action == "s3:ListBucket" else {})
        return Request(action, resource, context=context | more)

    def with_key(action: str, place: str) -> Request:
        return Request(
            action, names.keys[place.partition("/")[0]], context={"kms:ViaService": f"s3.{names.region}.amazonaws.com"}
        )

    if cell.verb == "list":
        yield on("s3:ListBucket", cell.where)
    if cell.verb == "delete":
        yield on("s3:DeleteObject", cell.where)
    if cell.verb in {"get", "copy", "take"}:
        yield on("s3:GetObject", cell.where)
        yield with_key("kms:Decrypt", cell.where)
    if cell.verb in {"put", "copy", "take", "multipart"}:
        target = ROOM[cell.who] if cell.verb == "take" else cell.where
        yield on("s3:PutObject", target)
        yield with_key("kms:GenerateDataKey", target)
    if cell.verb == "multipart":
        yield on("s3:AbortMultipartUpload", cell.where)
        yield with_key("kms:Decrypt", cell.where)
