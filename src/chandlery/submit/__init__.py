"""Run a command on EMR Serverless: upload the environment and the settings, start a job run and follow it.

this environment ─► STAGING/environments/NAME.tar.gz ┐
settings, user-defined files ─► STAGING/jobs/ID/     ├─► a job run ─► its log, its exit code
"""

import json
import secrets
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from chandlery.errors import SettingsError, TransientError
from chandlery.errors.allowed import is_shown
from chandlery.extensions import read_bundles
from chandlery.lake.store import Store
from chandlery.machine.aws import open_client
from chandlery.machine.signals import held, listening
from chandlery.progress import Watch
from chandlery.settings.model import Settings
from chandlery.submit.archive import NEWEST_LIBRARY, build_environment, find_library, name_environment
from chandlery.submit.job import EXIT_CODE, JOB, Job
from chandlery.submit.serverless import NOTE, Clients, JobRun, Order, check_application, start_job

__all__ = ["submit", "write_command"]

RUNS = ("wait", "prune", "restate", "json", "quiet")
COMMANDS = {  # that can be submitted, and their flags: all that are no settings
    "run": RUNS,
    "ingest": RUNS,
    "forecast": RUNS,
    "check": ("until", "json"),
    "report": ("output", "json", "quiet"),
}
MOST = 255  # the largest exit code
REPORT = "reports/report.html"  # the path of a report in the lake, by default
ENTRY = "main.py"
ENTRY_TEXT = b"from chandlery.commands.driver import main\n\nmain()\n"
HERE_ALONE = {"spark.master", "spark.pyspark.python"}  # options of local sessions: on EMR, AWS sets them


def submit(settings: Settings, command: Sequence[str], watch: Watch) -> int:
    """Run a command on EMR Serverless, print its output as it is written, and return its exit code.

    Ctrl-C, SIGTERM, SIGHUP or a closed output cancels the job run; the function then waits until it has ended.

    Args:
        settings: Settings of the run. All but [submit] are uploaded.
        command: The words of the command line without options that are settings, as in run --prune.
        watch: Shows the states of the job run.

    Raises:
        SettingsError: [submit] is incomplete, source or lake are on this machine, or something is missing on AWS.
        TransientError: AWS did not answer, or the job run ended without an exit code.
        KeyboardInterrupt: An interrupt cancelled the job run.
        BrokenPipeError: A closed output cancelled the job run.
    """
    check_places(settings)
    staging = Store(settings.submit.staging, settings.lake_storage)
    clients = Clients(
        *(open_client(service, settings.lake_storage.get("region")) for service in ("emr-serverless", "logs"))
    )
    name = f"chandlery-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    folder = Store(f"{staging.uri}/jobs/{name}", settings.lake_storage)
    with listening():
        check_application(clients, settings.submit.application_id)
        put_job(folder, settings, command)
        wanted = order(settings, name, folder, put_environment(staging, watch))
        run: JobRun | None = None
        try:
            with held(firmly=True):
                run = start_job(clients, wanted)
            watch.note(f"job run {run.identity} of application {settings.submit.application_id}: {folder.uri}")
            state, details = follow(run, watch)
        except (KeyboardInterrupt, BrokenPipeError):
            if run is not None:
                cancel(run, watch)
            raise
    return read_exit_code(folder, f"job run {run.identity} ended as {state}", details)


def read_exit_code(folder: Store, ended: str, details: str) -> int:
    """Read the exit code that the driver stored in the job's folder.

    Args:
        folder: The job's folder.
        ended: Which job run ended, and how, in words.
        details: What AWS says about that.

    Raises:
        TransientError: There is none, or it is not valid.
    """
    code, hint = folder.get(EXIT_CODE), "look at its log, and submit again: nothing is lost"
    if code is None:
        raise TransientError(f"{ended} before it had an exit code: {details}", "", hint)
    if not code.isdigit() or int(code) > MOST:
        raise TransientError(f"{ended}, and {folder.uri}/{EXIT_CODE} holds {code[:40]!r}", "an exit code", hint)
    return int(code)


def write_command(settings: Settings, name: str, **flags: str | bool | None) -> list[str]:
    """Return the words of a command line; by default, a report is written to the lake.

    Args:
        settings: Settings of the run.
        name: The command.
        flags: The value of each flag of the command by its name; None and False leave a flag out.

    Raises:
        SettingsError: The command cannot be submitted or does not have the flag, or the report is no object of S3.
    """
    if name not in COMMANDS:
        raise SettingsError(f"command {name!r}", f"one of {', '.join(COMMANDS)}", "see `chandlery submit --help`")
    given = {flag: wanted for flag, wanted in flags.items() if wanted}
    if odd := [flag for flag in given if flag not in COMMANDS[name]]:
        raise SettingsError(
            f"--{odd[0]} with {name}",
            f"of --{', --'.join(COMMANDS[name])}",
            f"leave it out, or see `chandlery {name} --help`",
        )
    if name == "report":
        output = given.setdefault("output", f"{settings.lake.uri.rstrip('/')}/{REPORT}")
        if not str(output).startswith("s3://"):
            raise SettingsError(
                f"--output {output!r}",
                "s3://…, which containers of AWS can reach",
                f"leave it out, and the page is {REPORT} in the lake",
            )
    return [name, *(word for flag, wanted in given.items() for word in (f"--{flag}", wanted) if isinstance(word, str))]


def check_places(settings: Settings) -> None:
    """Check that [submit] is complete, and that source and lake are in buckets.

    Raises:
        SettingsError: They are not.
    """
    wanted = settings.submit
    if missing := [name for name in ("application_id", "role_arn", "staging") if not getattr(wanted, name)]:
        raise SettingsError(
            f"no [submit] {missing[0]}", "the outputs of deploy/terraform", f"set [submit] {', '.join(missing)}"
        )
    places = {"[submit] staging": wanted.staging, "[source] uri": settings.source.uri, "[lake] uri": settings.lake.uri}
    if here := [f"{name} {uri!r}" for name, uri in places.items() if not uri.startswith("s3://")]:
        raise SettingsError(
            here[0], "s3://…, which containers of AWS can reach", f"set {here[0].partition(' ')[0]} to a bucket"
        )


def put_environment(staging: Store, watch: Watch) -> str:
    """Upload this environment to the staging bucket, unless it is there already; return its URI."""
    path = f"environments/{name_environment()}"
    if staging.head(path) is None:
        watch.note(f"packing this environment for {staging.uri}/{path}: a minute or so, once")
        if (found := find_library()) > NEWEST_LIBRARY:
            needed, there = (".".join(map(str, version)) for version in (found, NEWEST_LIBRARY))
            watch.note(
                f"this Python needs glibc {needed}, but Amazon Linux 2023 has {there}: "
                "a Python that `uv python install` downloads works there"
            )
        with tempfile.TemporaryDirectory(prefix="chandlery-archive-") as folder:
            archive = Path(folder, "environment.tar.gz")
            build_environment(archive)
            staging.put_file(path, archive)
    return f"{staging.uri}/{path}"


def put_job(folder: Store, settings: Settings, command: Sequence[str]) -> None:
    """Write what the driver needs to the job's folder."""
    sections = settings.model_dump(mode="json", exclude_unset=True, exclude={"submit"})
    # Without options of Spark: the job run's own configuration holds them.
    sections["engine"] = {**sections.get("engine", {}), "name": "spark", "spark": {}}
    sets = (settings.forecast, settings.chosen_forecast, *settings.series)
    names = dict.fromkeys(name for forecast in sets for name in forecast.extensions)
    files = {bundle.path: bundle.texts for bundle in read_bundles(names)}
    folder.put(JOB, msgspec.json.encode(Job(list(command), sections, files)))
    folder.put(ENTRY, ENTRY_TEXT)


def order(settings: Settings, name: str, folder: Store, archive: str) -> Order:
    """Return the order of a job run."""
    spark = {option: value for option, value in settings.engine.spark.items() if option not in HERE_ALONE}
    wanted = settings.submit
    return Order(
        wanted.application_id,
        wanted.role_arn,
        name,
        f"{folder.uri}/{ENTRY}",
        (folder.uri, json.dumps({name: value for name, value in settings.lake_storage.items() if is_shown(name)})),
        archive,
        spark,
        wanted.log_group,
    )


def follow(run: JobRun, watch: Watch) -> tuple[str, str]:
    """Print the output of a job run and note its states until it has ended; return the last state and its details."""
    state = details = ""
    for kind, text in run.follow():
        if kind in {"stdout", "stderr"}:
            print(text, file=getattr(sys, kind), flush=True)
        elif kind == NOTE:
            watch.note(text)
        else:
            state, details = kind, text
            watch.note(f"{state.lower()}{': ' if details else ''}{details}")
    return state, details


def cancel(run: JobRun, watch: Watch) -> None:
    """Cancel a job run and wait until it has ended; another signal ends this process, and so the waiting."""
    with held(firmly=True):
        run.cancel()
    watch.note(f"cancelling job run {run.identity}")
    watch.note(run.wait().lower())
