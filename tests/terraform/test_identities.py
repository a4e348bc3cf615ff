"""The same roles as identities of the real S3 server, written by hand: every cell of rights.csv that its actions can
say.
"""

from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store
from rights import BUCKETS, Cell, list_objects
from s3_server import Server, s3_server

from chandlery.errors import SettingsError
from chandlery.lake.handle import open_lake
from chandlery.lake.query import query
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.schema import TABLES

pytestmark = [pytest.mark.s3, pytest.mark.slow]
NAMES = {place: f"crypto-{place}" for place in BUCKETS}
IDENTITIES = {
    "pipeline": [
        *(
            "Read:crypto-raw",
            "List:crypto-raw",
            "Read:crypto-lake",
            "List:crypto-lake",
            "Write:crypto-lake",
            "List:crypto-staging",
        ),
        *(f"{act}:crypto-staging/{folder}/*" for act in ("Read", "Write") for folder in ("jobs", "logs", "tmp")),
    ],
    "scheduler": [
        "List:crypto-staging",
        "Read:crypto-staging/jobs/*",
        "Write:crypto-staging/jobs/*",
        "Read:crypto-staging/logs/*",
    ],
    "analyst": [
        "Read:crypto-lake/lake.json*",  # without a star it would name a bucket
        *(f"{act}:crypto-lake/{folder}/*" for act in ("Read", "List") for folder in (*TABLES, "reports")),
        *(f"{act}:crypto-staging/athena/*" for act in ("Read", "List", "Write")),
    ],
    "auditor": ["Read:crypto-raw", "List:crypto-raw", "Read:crypto-lake", "List:crypto-lake"],
    "stranger": [],
}
UNSAID = {("analyst", "delete", "staging/athena/")}  # who may write there may delete there: there is no action for less


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3_server(tmp_path_factory.mktemp("identities"), tuple(NAMES.values()), IDENTITIES) as running:
        yield running


def open_store(server: Server, who: str, place: str) -> tuple[Store, S3Store]:
    """Return a place's bucket as somebody sees it: chandlery's store, and obstore's for what that has no call for."""
    keys = {name.lower().removeprefix("aws_"): value for name, value in server.environment(who).items()}
    bucket = NAMES[place.partition("/")[0]]
    plain = S3Store(
        bucket,
        endpoint=server.endpoint,
        region="us-east-1",
        client_options={"allow_http": True},
        access_key_id=keys["access_key_id"],
        secret_access_key=keys["secret_access_key"],
    )
    return Store(f"s3://{bucket}", {**server.storage, **keys}), plain


def name_object(place: str) -> str:
    prefix = place.partition("/")[2]
    return prefix if prefix and not prefix.endswith("/") else f"{prefix}object"


def try_cell(server: Server, cell: Cell) -> bool:
    """Return whether the server let somebody do what a cell says."""
    path, prefix = name_object(cell.where), cell.where.partition("/")[2]
    open_store(server, "admin", cell.where)[0].put(path, b"as it was")
    store, plain = open_store(server, cell.who, cell.where)
    try:
        if cell.verb == "get":
            assert store.get(path) == b"as it was"
        elif cell.verb == "put":
            store.put(path, b"new")
        elif cell.verb == "delete":
            store.delete(path)
        elif cell.verb == "list":
            assert store.list(prefix) or path == prefix  # below an object there is nothing
        elif cell.verb == "copy":
            obstore.copy(plain, path, f"{path}-copy")
        else:
            obstore.put(plain, path, bytes(6 * 1024 * 1024), use_multipart=True, chunk_size=5 * 1024 * 1024)
    except (SettingsError, PermissionDeniedError):
        return False
    return True


def test_identities_let_everybody_do_what_the_table_says(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [cell for cell in list_objects() if cell.verb != "take"]
    found = {cell: try_cell(server, cell) for cell in cells}
    unsaid = [cell for cell in cells if (cell.who, cell.verb, cell.where) in UNSAID]
    unexpected = [cell for cell in cells if found[cell] is not cell.allowed and cell not in unsaid]
    with capsys.disabled():
        print(
            "\n"
            f"against the S3 server: {len(cells)} cells, {len(unexpected)} unexpected, "
            f"{len(unsaid)} that its actions cannot say",
            *unexpected,
            *unsaid,
            sep="\n",
        )
    assert not unexpected
    assert all(found[cell] is not cell.allowed for cell in unsaid), "the server can say it now: take it out of UNSAID"


@pytest.mark.parametrize("place", NAMES)
def test_without_keys_nothing_can_be_read(server: Server, place: str) -> None:
    open_store(server, "admin", f"{place}/")[0].put("object", b"as it was")
    nobody = Store(f"s3://{NAMES[place]}", {**server.storage, "skip_signature": "true"})
    with pytest.raises(SettingsError, match="no right to read"):
        nobody.get("object")
    with pytest.raises(SettingsError, match="no right to list"):
        nobody.list()


def test_chandlery_reads_for_an_analyst_what_it_reads_for_its_keeper(server: Server, sample_lake: Path) -> None:
    """Whoever may read the tables alone reads them whole, with the listings and objects that chandlery asks for."""
    keeper = open_store(server, "admin", "lake/")[0]
    for path in sorted(path for path in sample_lake.rglob("*") if path.is_file()):
        keeper.put(str(path.relative_to(sample_lake)), path.read_bytes())
    analyst = open_store(server, "analyst", "lake/")[0]
    assert open_lake(analyst.uri, analyst.options).series == open_lake(keeper.uri, keeper.options).series
    for table in TABLES:
        rows = read_table(analyst.uri, table, options=analyst.options)
        assert rows.height
        assert rows.equals(read_table(keeper.uri, table, options=keeper.options))
    assert (
        query(analyst.uri, "SELECT count(*) AS n FROM candles", analyst.options)["n"][0]
        == read_table(keeper.uri, "candles", options=keeper.options).height
    )
    for folder in ("state/", "artefacts/", "runs/"):
        assert keeper.list(folder)
        with pytest.raises(SettingsError, match="no right to list"):
            analyst.list(folder)
