"""What people met with stores, machines and habits, a line each, tried with the whole command.

Each line has what is done, the exit code and what the command says. The tests of each part try more of the same kinds.
"""

import datetime as dt
import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from listings import GOOD, list_with
from proxy import Fault, FaultProxy, fault_proxy
from s3_server import Server

from chandlery.lake.store import Store
from local_hours import write_local

RIGHT, WRONG_SETTINGS, REFUSED, AGAIN = 0, 2, 3, 5
PLANTED = "hunter2"
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
# What a file system without locks answers to a call that asks for one.
WITHOUT_LOCKS = """
import errno, fcntl, os
def refuse(_, __):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = refuse
"""
MAIN = "from chandlery.__main__ import main; main()"


@dataclass
class Place:
    """Where a command runs.

    Args:
        folder: Its folder, with raw/BTC-USD_60.csv.
        source: A bucket's folder with the same file.
        lake: A lake in a bucket that is not there yet.
        server: The store.
        proxy: A proxy before it.
    """

    folder: Path
    source: Store
    lake: str
    server: Server
    proxy: FaultProxy


@dataclass(frozen=True)
class Circumstance:
    """A command under a circumstance, and what is right.

    Args:
        name: What is tried.
        command: Its words; {source}, {lake}, {folder}, {proxy} and {endpoint} stand for those of the place.
        code: The exit code.
        says: What is in its output.
        environment: Variables beside those of the store's keys; None takes one away.
        before: What is done first.
        after: What is checked afterwards.
        shim: Python code that runs before the command, such as one that takes something away from the machine.
    """

    name: str
    command: str
    code: int
    says: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    before: Callable[[Place], object] = str
    after: Callable[[Place], object] = str
    shim: str = ""


HERE = "ingest --source raw --lake lake --quiet"
IN_BUCKETS = "ingest --source {source} --lake {lake} --quiet"
BY_PROXY = {"AWS_ENDPOINT_URL": "{proxy}", "AWS_REGION": "us-east-1"}
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
DIRECT = {"AWS_ENDPOINT_URL": "{endpoint}", "AWS_REGION": "us-east-1"}


def refuse_with(status: int, code: str, *methods: str) -> Callable[[Place], None]:
    def set_fault(place: Place) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>so it is</Message></Error>"
        place.proxy.fault = Fault(status, body.encode(), methods=frozenset(methods))

    return set_fault


def ignore_conditions(place: Place) -> None:
    place.proxy.ignored = frozenset({"if-none-match", "if-match"})


def list_odd(place: Place) -> None:
    place.proxy.fault = list_with(place.source, ["x//BTC-USD.csv"])


def make_old(place: Place) -> None:
    os.utime(place.folder / "raw/BTC-USD_60.csv", (0, 0))


def add_partial(place: Place) -> None:
    content = (place.folder / "raw/BTC-USD_60.csv").read_bytes()
    for name in ("ETH-USD_60.csv.crdownload", "BTC-USD_60.csv.bak"):
        (place.folder / "raw" / name).write_bytes(content[: len(content) // 2])


def ingest_here(place: Place) -> None:
    call(place, Circumstance("", HERE, RIGHT))


def has_no_folder(name: str) -> Callable[[Place], None]:
    def check(place: Place) -> None:
        assert not any(path.name.startswith(name) for path in place.folder.iterdir())

    return check


def keeps_the_secret(place: Place) -> None:
    for path in place.folder.rglob("*"):
        assert not path.is_file() or PLANTED.encode() not in path.read_bytes(), path


def has_rows(place: Place) -> None:
    code, shown = call(place, Circumstance("", "query 'SELECT count(*) AS n FROM candles' --lake lake --json", RIGHT))
    assert (code, json.loads(shown)) == (RIGHT, [{"n": 100}])


CIRCUMSTANCES = [
    Circumstance(
        "an address that lost a slash",
        "ingest --source raw --lake s3:/b/lake",
        WRONG_SETTINGS,
        ("s3:/b/lake",),
        after=has_no_folder("s3"),
    ),
    Circumstance(
        "an address of a file", "ingest --source file:{folder}/raw --lake lake --quiet", RIGHT, after=has_rows
    ),
    Circumstance(
        "an address with a line break",
        "ingest --source raw --lake 'lake\r'",
        WRONG_SETTINGS,
        ("control character",),
        after=has_no_folder("lake"),
    ),
    Circumstance("another folder than that of the settings", HERE, RIGHT, ("no settings file",)),
    Circumstance("a misspelt variable", HERE, WRONG_SETTINGS, ("CHANDLERY_LAKE__URL",), {"CHANDLERY_LAKE__URL": "x"}),
    Circumstance(
        "a secret in the address of a proxy",
        HERE,
        WRONG_SETTINGS,
        ("proxy_url",),
        {"CHANDLERY_STORAGE__PROXY_URL": f"http://me:{PLANTED}@127.0.0.1:9"},
        after=keeps_the_secret,
    ),
    Circumstance(
        "an option that is not known", IN_BUCKETS, WRONG_SETTINGS, ("nonsense",), {"CHANDLERY_STORAGE__NONSENSE": "x"}
    ),
    Circumstance("files that are not whole", HERE, RIGHT, (".crdownload", ".bak"), before=add_partial, after=has_rows),
    Circumstance(
        "files older than their rows",
        HERE,
        RIGHT,
        ("which of them had closed is not known",),
        before=make_old,
        after=has_rows,
    ),
    Circumstance(
        "a duration and an infinite time",
        "query \"SELECT INTERVAL 1 DAY AS d, TIMESTAMP 'infinity' AS t\" --lake lake",
        RIGHT,
        ("1 day", "infinity"),
        before=ingest_here,
    ),
    Circumstance("80 columns", "tables --lake lake", RIGHT, ("100",), {"COLUMNS": "80"}, before=ingest_here),
    Circumstance("no home folder", HERE, RIGHT, (), {"HOME": None}, after=has_rows),
    Circumstance("no locks", HERE, WRONG_SETTINGS, ("cannot be locked",), shim=WITHOUT_LOCKS),
    Circumstance(
        "no locks, found by check",
        "check --source raw --lake lake",
        WRONG_SETTINGS,
        ("cannot be locked",),
        shim=WITHOUT_LOCKS,
    ),
    Circumstance("an endpoint without encryption", IN_BUCKETS, RIGHT, (), DIRECT),
    Circumstance(
        "an endpoint of the source alone",
        "ingest --source {source} --lake lake --quiet",
        RIGHT,
        (),
        {"CHANDLERY_SOURCE__STORAGE__ENDPOINT_URL": "{endpoint}", "CHANDLERY_SOURCE__STORAGE__REGION": "us-east-1"},
        after=has_rows,
    ),
    Circumstance(
        "a profile that is not there",
        IN_BUCKETS,
        WRONG_SETTINGS,
        ("nobody",),
        {**DIRECT, "AWS_PROFILE": "nobody", **NO_KEYS},
    ),
    Circumstance(
        "no credentials",
        IN_BUCKETS,
        WRONG_SETTINGS,
        ("no credentials",),
        {**DIRECT, **NO_KEYS, "AWS_EC2_METADATA_DISABLED": "true"},
    ),
    Circumstance(
        "certificates that are not there",
        IN_BUCKETS,
        WRONG_SETTINGS,
        ("AWS_CA_BUNDLE",),
        {**DIRECT, "AWS_CA_BUNDLE": "none.pem"},
    ),
    Circumstance(
        "a key that no client can name",
        IN_BUCKETS,
        REFUSED,
        ("x//BTC-USD.csv",),
        {"CHANDLERY_SOURCE__STORAGE__ENDPOINT_URL": "{proxy}", **DIRECT},
        before=list_odd,
    ),
    Circumstance(
        "a session that has ended",
        IN_BUCKETS,
        WRONG_SETTINGS,
        ("ExpiredToken", "so it is"),
        BY_PROXY,
        before=refuse_with(400, "ExpiredToken"),
    ),
    Circumstance(
        "a clock that is wrong",
        IN_BUCKETS,
        WRONG_SETTINGS,
        ("RequestTimeTooSkewed", "clock"),
        BY_PROXY,
        before=refuse_with(403, "RequestTimeTooSkewed"),
    ),
    Circumstance(
        "another region",
        IN_BUCKETS,
        WRONG_SETTINGS,
        ("in another region",),
        BY_PROXY,
        before=refuse_with(301, "PermanentRedirect"),
    ),
    Circumstance(
        "a store without conditional puts",
        IN_BUCKETS,
        WRONG_SETTINGS,
        ("NotImplemented",),
        BY_PROXY,
        before=refuse_with(501, "NotImplemented", "PUT"),
    ),
    Circumstance(
        "a store that ignores conditions",
        IN_BUCKETS,
        WRONG_SETTINGS,
        ("condition",),
        BY_PROXY,
        before=ignore_conditions,
    ),
    Circumstance(
        "a proxy that is not there",
        IN_BUCKETS,
        AGAIN,
        ("check endpoint_url, proxy_url and the network",),
        {**DIRECT, "CHANDLERY_STORAGE__PROXY_URL": "http://127.0.0.1:9"},
    ),
]


@pytest.fixture
def place(server: Server, tmp_path: Path, admin: Server) -> Iterator[Place]:
    content = write_local(START, 100, "UTC")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/BTC-USD_60.csv").write_bytes(content)
    source = Store(f"s3://crypto-raw/{secrets.token_hex(4)}", admin.storage)
    source.put(GOOD, content)
    with fault_proxy(server.endpoint) as proxy:
        yield Place(tmp_path, source, f"s3://crypto-lake/{secrets.token_hex(4)}", server, proxy)


def call(place: Place, tried: Circumstance) -> tuple[int, str]:
    """Run a command in the folder of a place, and return its exit code and what it printed."""
    names = {
        "source": place.source.uri, "lake": place.lake, "folder": str(place.folder), "proxy": place.proxy.url,
        "endpoint": place.server.endpoint,
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "LANG"}}
    variables = {"HOME": str(place.folder), **kept, **place.server.admin, **tried.environment}
    given = {name: value.format(**names) for name, value in variables.items() if value is not None}
    words = [word.format(**names) for word in shlex.split(tried.command)]
    ended = subprocess.run(
        [sys.executable, "-c", tried.shim + MAIN, *words], cwd=place.folder, env=given, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout + (ended.stderr if tried.name else "")


@pytest.mark.parametrize("tried", CIRCUMSTANCES, ids=lambda each: each.name)
def test_what_the_field_met(tried: Circumstance, place: Place) -> None:
    tried.before(place)
    code, shown = call(place, tried)
    assert code == tried.code, shown
    for words in tried.says:
        assert words in shown, shown
    assert "Traceback" not in shown
    assert PLANTED not in shown
    tried.after(place)
