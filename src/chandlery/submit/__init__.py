"""A command on EMR Serverless instead of here: environment and settings are put into a bucket, a job run is started and followed.

this environment ─► STAGING/environments/NAME.tar.gz ┐
settings, files of one's own ─► STAGING/jobs/ID/     ├─► a job run ─► its log, its exit code
"""

import json
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from chandlery.aws import open_client
from chandlery.config import Settings
from chandlery.errors import SettingsError, TransientError
from chandlery.features import read_extension
from chandlery.progress import Watch
from chandlery.storage import Store
from chandlery.submit.archive import build_environment, name_environment
from chandlery.submit.job import EXIT_CODE, JOB, Job
from chandlery.submit.serverless import Clients, JobRun, Order, start_job

__all__ = ["submit", "write_command"]

COMMANDS = {"run": ("wait", "prune", "json", "quiet"), "ingest": ("wait", "prune", "json", "quiet"), "forecast": ("wait", "json", "quiet"), "check": ("until", "json"), "report": ("output", "json", "quiet")}
REPORT = "reports/report.html"  # in the lake, where none is named
ENTRY = "main.py"
ENTRY_TEXT = b"from chandlery.driver import main\n\nmain()\n"
HERE_ALONE = {"spark.master", "spark.pyspark.python"}  # options of a session that AWS chooses


def submit(settings: Settings, command: Sequence[str], watch: Watch) -> int:
    """Run a command on EMR Serverless and return its exit code; its lines go to stdout and stderr as they come.

    An interrupt, or SIGTERM, cancels the job run and waits for its end.

    Args:
        settings: Of the run, with [submit]; they are put into the bucket, without those of [submit].
        command: As on the command line, without what settings say: run --prune.
        watch: Who is told of states.

    Raises:
        SettingsError: [submit] is not whole, source or lake are of this machine, or AWS lacks something.
        TransientError: AWS did not answer, or the job run ended without an exit code.
        KeyboardInterrupt: The job run was cancelled.
    """
    check_places(settings)
    staging = Store(settings.submit.staging, settings.storage)
    clients = Clients(*(open_client(service, settings.storage.get("region")) for service in ("emr-serverless", "logs")))
    archive = put_environment(staging, watch)
    name = f"chandlery-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    folder = Store(f"{staging.uri}/jobs/{name}", settings.storage)
    put_job(folder, settings, command)
    run = start_job(clients, order(settings, name, folder, archive))
    watch.note(f"job run {run.identity} of application {settings.submit.application_id}: {folder.uri}")
    state, details = follow(run, watch)
    code = folder.get(EXIT_CODE)
    if code is None:
        raise TransientError(f"job run {run.identity} ended as {state} before it had an exit code: {details}", "", "look at its log, and submit again: nothing is lost")
    return int(code)


def write_command(settings: Settings, name: str, **flags: str | bool | None) -> list[str]:
    """Return a command as it is written on a line; a report goes into the lake, where nothing else is said.

    Raises:
        SettingsError: It is none that makes sense elsewhere, does not know such a flag, or would write where nobody looks.
    """
    if name not in COMMANDS:
        raise SettingsError(f"command {name!r}", f"one of {', '.join(COMMANDS)}", "see `chandlery submit --help`")
    given = {flag: wanted for flag, wanted in flags.items() if wanted}
    if odd := [flag for flag in given if flag not in COMMANDS[name]]:
        raise SettingsError(f"--{odd[0]} with {name}", f"of --{', --'.join(COMMANDS[name])}", f"leave it out, or see `chandlery {name} --help`")
    if name == "report":
        output = given.setdefault("output", f"{settings.lake.uri.rstrip('/')}/{REPORT}")
        if not str(output).startswith("s3://"):
            raise SettingsError(f"--output {output!r}", "s3://…, which containers of AWS can reach", f"leave it out, and the page is {REPORT} in the lake")
    return [name, *(word for flag, wanted in given.items() for word in (f"--{flag}", wanted) if isinstance(word, str))]


def check_places(settings: Settings) -> None:
    """Make sure that a machine elsewhere can do what settings say.

    Raises:
        SettingsError: It cannot.
    """
    wanted = settings.submit
    if missing := [name for name in ("application_id", "role_arn", "staging") if not getattr(wanted, name)]:
        raise SettingsError(f"no [submit] {missing[0]}", "the outputs of deploy/terraform", f"set [submit] {', '.join(missing)}")
    places = {"[submit] staging": wanted.staging, "[source] uri": settings.source.uri, "[lake] uri": settings.lake.uri}
    if here := [f"{name} {uri!r}" for name, uri in places.items() if not uri.startswith("s3://")]:
        raise SettingsError(here[0], "s3://…, which containers of AWS can reach", f"set {here[0].partition(' ')[0]} to a bucket")


def put_environment(staging: Store, watch: Watch) -> str:
    """Make sure that the staging bucket has this environment; return its URI."""
    path = f"environments/{name_environment()}"
    if staging.head(path) is None:
        watch.note(f"packing this environment for {staging.uri}/{path}")
        with tempfile.TemporaryDirectory(prefix="chandlery-archive-") as folder:
            archive = Path(folder, "environment.tar.gz")
            build_environment(archive)
            staging.put_file(path, archive)
    return f"{staging.uri}/{path}"


def put_job(folder: Store, settings: Settings, command: Sequence[str]) -> None:
    """Put what the driver needs into the job's folder."""
    sections = settings.model_dump(mode="json", exclude_unset=True, exclude={"submit"})
    sections["engine"] = {**sections.get("engine", {}), "name": "spark", "spark": {}}  # options of the session stand in the order
    files = {f"{number}-{Path(path).name}": read_extension(path) for number, path in enumerate(settings.forecast.extensions)}
    folder.put(JOB, msgspec.json.encode(Job(list(command), sections, files)))
    folder.put(ENTRY, ENTRY_TEXT)


def order(settings: Settings, name: str, folder: Store, archive: str) -> Order:
    """Return what is asked of AWS."""
    spark = {option: value for option, value in settings.engine.spark.items() if option not in HERE_ALONE}
    wanted = settings.submit
    return Order(wanted.application_id, wanted.role_arn, name, f"{folder.uri}/{ENTRY}", (folder.uri, json.dumps(settings.storage)), archive, spark, wanted.log_group)


def follow(run: JobRun, watch: Watch) -> tuple[str, str]:
    """Tell what happens until the run has ended; return how. An interrupt cancels it.

    Raises:
        KeyboardInterrupt: It was cancelled.
    """
    state = details = ""
    try:
        with interrupted_by(signal.SIGTERM):
            for kind, text in run.follow():
                if kind in {"stdout", "stderr"}:
                    print(text, file=getattr(sys, kind), flush=True)
                else:
                    state, details = kind, text
                    watch.note(f"{state.lower()}{': ' if details else ''}{details}")
    except KeyboardInterrupt:
        watch.note(f"cancelling job run {run.identity}")
        watch.note(run.cancel().lower())
        raise
    return state, details


@contextmanager
def interrupted_by(number: signal.Signals) -> Iterator[None]:
    """Take a signal for Ctrl-C within."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        yield
    finally:
        signal.signal(number, before)
