"""A secret that is planted in any place is found nowhere: in no object of the lake, no output and no error text.

The places are made of the options that obstore and botocore declare, of options of Spark, and of the parts of URIs.
"""

import ast
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, reduce
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

import botocore.configprovider
import obstore
import polars as pl
import pytest
from pydantic import BaseModel

from chandlery.commands.cli import main
from chandlery.errors import masking
from chandlery.errors.allowed import is_shown
from chandlery.lake.clients import RETRIES
from chandlery.settings.model import Settings

WORD = "hUnTer2xQ7"
pytestmark = pytest.mark.slow

COMMANDS = ("check", "plan", "run", "forecast")
CLOUDS = {"s3": ("S3Config", "AWS_"), "az": ("AzureConfig", "AZURE_STORAGE_"), "gs": ("GCSConfig", "GOOGLE_")}
SPARK = """
    spark.hadoop.fs.azure.account.key.box.dfs.core.windows.net spark.hadoop.fs.s3a.access.key
    spark.hadoop.fs.s3a.secret.key spark.hadoop.fs.s3a.session.token spark.hadoop.fs.s3a.bucket.b.secret.key
    spark.hadoop.fs.s3a.encryption.key spark.hadoop.fs.azure.sas.c.a.blob.core.windows.net spark.hadoop.my.own
    spark.hadoop.fs.azure.account.oauth2.client.secret spark.hadoop.google.cloud.auth.service.account.private.key
    spark.ssl.keyPassword spark.ssl.trustStorePassword spark.authenticate.secret spark.executorEnv.MY_OWN
    spark.driver.extraJavaOptions spark.executor.extraJavaOptions spark.redaction.string.regex spark.my.own
    spark.jars.ivySettings spark.emr-serverless.driverEnv.MY_OWN spark.kubernetes.driverEnv.MY_OWN
""".split()
OTHER_OPTIONS = "fs.s3a.secret.key fs.azure.account.key.box foo my_own default-headers AWS_SECRET_ACCESS_KEY".split()


def read_options(name: str) -> list[str]:
    """Return the options that obstore declares in a class of its type hints."""
    for file in (Path(obstore.__file__).parent / "_store").glob("*.pyi"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return [each.target.id for each in node.body if isinstance(each, ast.AnnAssign)]  # type: ignore[union-attr]
    raise AssertionError(name)


def list_option_settings(model: type[BaseModel] = Settings) -> list[str]:
    """Return the settings that are options of other programs, as in engine.spark."""
    found = []
    for name, described in model.model_fields.items():
        kind = described.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += [f"{name}.{inner}" for inner in list_option_settings(kind)]
        elif str(kind).startswith("dict["):
            found.append(name)
    return found


def nest(place: str, value: object) -> dict[str, Any]:
    """Return a value in the sections of its place, as in {"engine": {"spark": value}}."""
    for name in reversed(place.split(".")):
        value = {name: value}
    return dict(value)  # type: ignore[call-overload]


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two settings in one."""
    return {
        **below,
        **{
            name: merge(below.get(name, {}), value) if isinstance(value, Mapping) else value
            for name, value in above.items()
        },
    }


def list_options() -> list[str]:
    names = [option for config, _ in CLOUDS.values() for option in read_options(config)]
    return sorted({*names, *read_options("ClientConfig"), *OTHER_OPTIONS})


def list_variables() -> list[str]:
    """Return environment variables of the SDKs that may carry anything."""
    of_botocore = [
        name
        for _, names, *_ in botocore.configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES.values()
        for name in (names if isinstance(names, list) else [names])
        if name
    ]
    of_obstore = [prefix + option.upper() for config, prefix in CLOUDS.values() for option in read_options(config)]
    others = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET", "AWS_MY_OWN"]
    return sorted(name for name in {*of_botocore, *of_obstore, *others} if not is_shown(name, is_variable=True))


def list_uris() -> list[str]:
    """Return URIs with the secret in each of their parts."""
    rests = [
        f"{WORD}@host/p", f"me:{WORD}@host/p", f"me:a/{WORD}@host/p", f"me:a {WORD}@host/p",
        f"host/p?sig={WORD}", f"host/p?a=1&X-Amz-Signature={WORD}", f"host/p#{WORD}", f"me:{WORD}@host/p?a=b#c",
    ]  # fmt: skip
    return [f"{scheme}://{rest}" for scheme, rest in product(("s3", "S3", "az", "gs", "https"), rests)]


def list_urls() -> list[str]:
    """Return endpoints and proxies with the secret in each of their parts, in several spellings."""
    begins = ["http://", "HTTPS://", "http:/", "http:\\\\", "//", "socks5://", ""]
    rests = [f"me:{WORD}@host:1", f"{WORD}@host:1", f"host:1/?{WORD}", f"host:1/?k={WORD}", f"host:1/#{WORD}"]
    return [begin + rest for begin, rest in product(begins, rests)]


STORAGES = [place for place in list_option_settings() if place.endswith("storage")]
PLACES = {
    **{
        f"{place}.{option}": nest(place, {option: WORD})
        for place in STORAGES
        for option in list_options()
        if not is_shown(option)
    },
    **{f"engine.spark.{option}": nest("engine.spark", {option: WORD}) for option in SPARK},
    **{
        f"{place}.{option}={url}": nest(place, {option: url})
        for place in STORAGES
        for option in ("aws_endpoint_url", "proxy_url")
        for url in list_urls()
    },
    **{
        f"{place}={uri}": nest(place, uri)
        for place in ("source.uri", "lake.uri", "submit.staging", "lake.catalog")
        for uri in list_uris()
    },
    **{f"source.exclude={uri}": nest("source.exclude", [uri]) for uri in list_uris()[:8]},
    "an unknown section": {"database": {"password": WORD}},
    "an unknown setting": {"lake": {"password": WORD}},
    "a setting without a section": {"password": WORD},
    "a section that is a text": {"storage": WORD},
    "options that are a list": {"storage": {"region": [WORD]}},
    "a number": {"forecast": {"seed": WORD}},
    "a layout": {"source": {"layout": [{"files": "*", "password": WORD}]}},
}
VARIABLES = {
    "CHANDLERY_PASSWORD": WORD,
    "CHANDLERY_LAKE__TOKEN": WORD,
    "CHANDLERY_LAKE": WORD,
    "chandlery_lake__token": WORD,
    "CHANDLERY_DATABASE__PASSWORD": WORD,
    "CHANDLERY_FORECAST__SEED": WORD,
    "CHANDLERY_STORAGE__SECRET_ACCESS_KEY": WORD,
    "CHANDLERY_STORAGE__MY_OWN": WORD,
    "CHANDLERY_STORAGE": json.dumps({"token": WORD}),
    "CHANDLERY_ENGINE__SPARK": json.dumps({"spark.hadoop.fs.s3a.secret.key": WORD}),
    "CHANDLERY_LAKE__URI": f"s3://me:{WORD}@bucket/l",
    "CHANDLERY_PORT": WORD,
}


def to_toml(value: object) -> str:
    """Return a value as TOML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {to_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return json.dumps(value)


@dataclass
class Bench:
    """A small lake with its raw files, and the commands on it.

    Args:
        folder: Of the raw files, the lake and the settings file.
        endpoint: Of a store that refuses every request, and tells in its answer all that it was sent.
        capture: What the commands print.
    """

    folder: Path
    endpoint: str
    capture: pytest.CaptureFixture[str]
    rows: int = 0
    printed: str = ""
    leaks: list[str] = field(default_factory=list)

    def add_row(self) -> None:
        """Add a row to the raw file, so that the next run has something to do, and writes a record."""
        self.rows += 1
        rows = [f"{1_502_942_400_000 + 60_000 * step},1,1,1,1,1" for step in range(200 + self.rows)]
        (self.folder / "raw").mkdir(exist_ok=True)
        (self.folder / "raw" / "ltcusd.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]))

    def call(self, command: str, settings: Mapping[str, Any], place: str = "") -> int:
        """Call a command with settings of a file; note each place where the secret is found."""
        sections = {
            "source": {"uri": str(self.folder / "raw")},
            "lake": {"uri": str(self.folder / "lake")},
            "engine": {"workers": 1},
        }
        for name, value in settings.items():
            sections[name] = {**sections.get(name, {}), **value} if isinstance(value, dict) else value
        file = self.folder / "own.toml"
        file.write_text("".join(f"{json.dumps(name)} = {to_toml(value)}\n" for name, value in sections.items()))
        return self.call_with(file, command, place=place)

    def call_with(self, file: Path, command: str, *flags: str, place: str = "") -> int:
        """Call a command with a settings file and flags."""
        code: int | str | None = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(masking, "_hidden", set())  # as in a process of its own
            patch.setattr(sys, "argv", ["chandlery", command, "--config", str(file), *flags])
            with _exits() as ended:
                main()
            code = ended[0] if ended else 0
        printed = self.capture.readouterr()
        self.printed = printed.err
        for stream, text in (("stdout", printed.out), ("stderr", printed.err)):
            if WORD in text:
                self.leaks.append(f"{place or command} {command} {stream}: {text.strip()[-600:]}")
        assert "Traceback" not in printed.err
        assert isinstance(code, int), code
        return code

    def search_lake(self) -> list[str]:
        """Return the paths of objects of the lake that hold the secret."""
        return [
            str(path.relative_to(self.folder))
            for path in (self.folder / "lake").rglob("*")
            if path.is_file() and WORD in read_text(path)
        ]


@contextmanager
def _exits() -> Iterator[list[int | str | None]]:
    """Yield a list that gets the exit code of the block."""
    codes: list[int | str | None] = []
    try:
        yield codes
    except SystemExit as ended:
        codes.append(ended.code)


def read_text(path: Path) -> str:
    """Return the content of an object of a lake as text, that of a table decoded."""
    if path.suffix == ".parquet":
        return json.dumps(pl.read_parquet(path, hive_partitioning=False).to_dicts(), default=str)
    return path.read_bytes().decode(errors="replace")


class Talkative(BaseHTTPRequestHandler):
    """A store that refuses every request, and repeats all of it."""

    def answer(self) -> None:
        told = f"<Error><Code>Odd</Code><Message>{self.path} {self.headers}</Message></Error>".encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(told)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do_CONNECT = answer  # noqa: N815 - as http.server calls them

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@cache
def serve() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Talkative)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def bench(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setitem(RETRIES, "max_retries", 0)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):  # for signatures, where a place has no other
        monkeypatch.setenv(name, "another")
    made = Bench(tmp_path, serve(), capfd)
    made.add_row()
    return made


def refuse_in_cloud(bench: Bench, scheme: str, planted: Mapping[str, Any], place: str) -> None:
    """Call a command on a lake in a bucket that refuses everything."""
    reached = {"s3": {"endpoint_url": bench.endpoint, "region": "r"}, "az": {"endpoint": bench.endpoint}, "gs": {}}
    common = {"allow_http": "true", "skip_signature": str(scheme != "s3").lower(), **reached[scheme]}
    common |= {"account_name": "box"} if scheme == "az" else {}
    common |= {"proxy_url": bench.endpoint} if scheme == "gs" else {}
    storage = {**common, **planted}
    for of_storage in STORAGES:
        section = nest(of_storage, storage)
        section["lake"] = {"uri": f"{scheme}://bucket/l", **section.get("lake", {})}
        code = bench.call("run", section, place)
        assert code in {2, 5} or "PanicException" in bench.printed, f"{place}: {bench.printed}"


def test_there_are_enough_places() -> None:
    assert len(PLACES) + len(VARIABLES) + len(list_variables()) >= 60
    assert {"storage.secret_access_key", "engine.spark.spark.hadoop.fs.s3a.access.key"} <= {
        place.removeprefix("lake.").removeprefix("source.") for place in PLACES
    }


def test_a_secret_in_the_settings_is_found_nowhere(bench: Bench) -> None:
    taken: list[str] = []
    for place, settings in PLACES.items():
        code = bench.call("plan", settings, place)
        assert code in {0, 2}, f"{place}: {bench.printed}"
        if not code:
            taken.append(place)
    assert taken  # options that are passed on
    together = reduce(merge, (PLACES[place] for place in taken))
    bench.add_row()
    assert [bench.call(command, together) for command in COMMANDS] == [0] * len(COMMANDS), bench.printed
    assert "…" in next((bench.folder / "lake" / "runs").glob("*Z-*.json")).read_text()
    assert not bench.leaks
    assert not bench.search_lake()


@pytest.mark.parametrize("scheme", CLOUDS)
def test_a_secret_in_an_option_of_a_store_that_fails_is_found_nowhere(bench: Bench, scheme: str) -> None:
    for option in list_options():
        if not is_shown(option):
            refuse_in_cloud(bench, scheme, {option: WORD}, option)
    assert not bench.leaks


@pytest.mark.parametrize("scheme", CLOUDS)
def test_a_secret_in_the_environment_is_found_nowhere(
    bench: Bench, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list_variables():
        with monkeypatch.context() as patch:
            patch.setenv(name, WORD)
            refuse_in_cloud(bench, scheme, {}, name)
    for name in list_variables():
        monkeypatch.setenv(name, WORD)
    bench.add_row()
    assert [bench.call(command, {}, "all variables") for command in COMMANDS] == [0] * len(COMMANDS), bench.printed
    assert not bench.leaks
    assert not bench.search_lake()


def test_a_secret_in_a_variable_of_ours_is_found_nowhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            for command in COMMANDS:
                assert bench.call(command, {}, name) in {0, 2}, bench.printed
    assert not bench.leaks
    assert not bench.search_lake()


def test_a_secret_in_a_flag_is_found_nowhere(bench: Bench) -> None:
    (bench.folder / "own.toml").write_text("")
    for flag, uri in product(("--source", "--lake"), list_uris()):
        assert bench.call_with(bench.folder / "own.toml", "run", flag, uri, place=f"{flag} {uri}") == 2
    assert not bench.leaks


@pytest.mark.parametrize("text", [f"[storage]\nkey = {WORD}", f"[storage\nkey = '{WORD}'", f"a = '{WORD}'\na = 1"])
def test_a_secret_in_a_broken_file_is_found_nowhere(bench: Bench, text: str) -> None:
    (bench.folder / "own.toml").write_text(text)
    assert bench.call_with(bench.folder / "own.toml", "run") == 2
    assert not bench.leaks


def test_the_search_finds_what_is_shown(bench: Bench) -> None:
    """What is planted in a place whose value is shown is found in the record, and in what commands print."""
    storage = next(iter(STORAGES))
    assert bench.call("run", nest(storage, {"user_agent": WORD})) == 0
    (record,) = bench.search_lake()
    assert record.startswith("lake/runs/")
    assert bench.call("run", {"lake": {"uri": f"s3:/{WORD}"}}) == 2
    assert bench.leaks


def shown_in(values: Iterable[object]) -> bool:
    return any(WORD in text for value in values for text in (repr(value), str(value)))


def test_a_secret_is_not_part_of_what_objects_show_of_themselves() -> None:
    for place in list_option_settings():
        settings = Settings(**nest(place, {"spark.my.own" if place.endswith("spark") else "my_own": WORD}))
        assert not shown_in(
            [settings, *(getattr(settings, name) for name in type(settings).model_fields if name != place)]
        )
    assert shown_in([Settings(lake={"uri": WORD})])  # type: ignore[arg-type]
