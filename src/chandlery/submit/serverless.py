"""A job run on EMR Serverless: start it, follow it, end it."""

import shlex
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chandlery.errors import SettingsError
from chandlery.machine.aws import translated
from chandlery.submit.job import LAST_LINE

__all__ = ["NOTE", "Clients", "JobRun", "Order", "check_application", "start_job"]

POLL_SECONDS = 5.0
LATE_POLLS = 12  # of the log, once the run has ended
ENDED = ("SUCCESS", "FAILED", "CANCELLED")
ROLE = "SPARK_DRIVER"  # whose log is shown
PYTHON = "./environment/bin/python"  # where each container finds the archive's
LINES_AT_ONCE = 10_000
LATE_MS = 120_000  # events may come in another order than they were written
NOTE = "note"  # what is no state and no line of the log


@dataclass(frozen=True)
class Clients:
    """Of EMR Serverless, and of CloudWatch's logs."""

    emr: Any
    logs: Any


@dataclass(frozen=True)
class Order:
    """What is to be run.

    Args:
        application: The EMR Serverless application.
        role: Whose rights the run has: an ARN.
        name: Of the run, and its token: a call that is repeated starts it once.
        entry: URI of the driver's script.
        arguments: What it is told.
        archive: URI of the environment.
        spark: Options of the Spark session.
        log_group: Of CloudWatch, where the driver's lines go.
    """

    application: str
    role: str
    name: str
    entry: str
    arguments: tuple[str, ...]
    archive: str
    spark: Mapping[str, str]
    log_group: str


def check_application(clients: Clients, application: str) -> None:
    """Make sure that an application is there.

    Raises:
        SettingsError: It is not, or there is no right to look at it.
        TransientError: AWS refused for load, or did not answer.
    """
    with translated(f"application {application} in {clients.emr.meta.region_name}"):
        clients.emr.get_application(applicationId=application)


def start_job(clients: Clients, order: Order) -> "JobRun":
    """Start a job run.

    Raises:
        SettingsError: The application, the role or a right is missing.
        TransientError: AWS refused for load, or did not answer.
    """
    with translated(f"application {order.application}"):
        answer = clients.emr.start_job_run(
            applicationId=order.application,
            clientToken=order.name,
            executionRoleArn=order.role,
            name=order.name,
            jobDriver={
                "sparkSubmit": {
                    "entryPoint": order.entry,
                    "entryPointArguments": list(order.arguments),
                    "sparkSubmitParameters": write_parameters(order),
                }
            },
            configurationOverrides={
                "monitoringConfiguration": {
                    "cloudWatchLoggingConfiguration": {
                        "enabled": True,
                        "logGroupName": order.log_group,
                        "logStreamNamePrefix": order.name,
                        "logTypes": {ROLE: ["STDOUT", "STDERR"]},
                    },
                }
            },
        )
    return JobRun(clients, order, answer["jobRunId"])


def write_parameters(order: Order) -> str:
    """Return the parameters of spark-submit: every process runs the archive's Python."""
    options = {
        "spark.archives": f"{order.archive}#environment",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": PYTHON,
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": PYTHON,
        "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
        "spark.log.level": "WARN",
        **order.spark,
    }
    return " ".join(f"--conf {shlex.quote(f'{name}={value}')}" for name, value in options.items())


class JobRun:
    """A job run that was started.

    Args:
        clients: Of EMR Serverless and of CloudWatch's logs.
        order: What was asked for.
        identity: AWS's name of it.
    """

    def __init__(self, clients: Clients, order: Order, identity: str) -> None:
        self._clients, self._order, self.identity = clients, order, identity
        self._told: set[tuple[str, str]] = set()
        self._since_ms = 0
        self._state = ""
        self._is_log_whole = False
        self._lacks_log = ""

    def follow(self) -> Iterator[tuple[str, str]]:
        """Yield what happens until the run has ended, as it comes: (state, details), (stdout, line), (stderr, line), and (NOTE, why there are no lines).

        Raises:
            SettingsError: A right is missing.
            TransientError: AWS did not answer.
        """
        while True:
            state, details = self.look()
            yield from self._read_log()
            if state != self._state:
                self._state = state
                yield state, details
            if state in ENDED:
                yield from self._read_rest()
                return
            threading.Event().wait(POLL_SECONDS)

    def look(self) -> tuple[str, str]:
        """Return the state of the run, and what AWS says of it."""
        with translated(f"job run {self.identity}, which goes on"):
            found = self._clients.emr.get_job_run(applicationId=self._order.application, jobRunId=self.identity)[
                "jobRun"
            ]
        return found["state"], found.get("stateDetails") or ""

    def cancel(self) -> None:
        """Cancel the run, where it has not ended already.

        Raises:
            SettingsError: There is no right to.
            TransientError: AWS did not answer.
        """
        try:
            with translated(f"cancelling job run {self.identity}, which goes on"):
                self._clients.emr.cancel_job_run(applicationId=self._order.application, jobRunId=self.identity)
        except SettingsError:
            if self.look()[0] not in ENDED:
                raise

    def wait(self) -> str:
        """Wait until the run has ended, and return how."""
        while (state := self.look()[0]) not in ENDED:
            threading.Event().wait(POLL_SECONDS)
        return state

    def _read_rest(self) -> Iterator[tuple[str, str]]:
        """Yield the lines that come late, until the driver's last one; a driver that never spoke has none."""
        for _ in range(LATE_POLLS):
            if self._is_log_whole or not self._told:
                return
            threading.Event().wait(POLL_SECONDS)
            yield from self._read_log()

    def _read_log(self) -> Iterator[tuple[str, str]]:
        """Yield the driver's new lines; none while there is no log yet."""
        query = {
            "logGroupName": self._order.log_group,
            "logStreamNamePrefix": self._order.name,
            "startTime": max(0, self._since_ms - LATE_MS),
            "limit": LINES_AT_ONCE,
        }
        pages: list[Any] = []
        try:
            with translated(f"log group {self._order.log_group}"):
                pages = list(self._clients.logs.get_paginator("filter_log_events").paginate(**query))
        except SettingsError as error:
            if self._lacks_log != str(error):
                self._lacks_log = str(error)
                yield NOTE, f"no lines to show yet: {error}"
        for event in sorted(
            (event for page in pages for event in page["events"]), key=lambda event: event["timestamp"]
        ):
            stream = event["logStreamName"]
            if (
                (stream, event["eventId"]) in self._told
                or not stream.startswith(self._order.name)
                or ROLE not in stream
            ):
                continue
            self._since_ms = max(self._since_ms, event["timestamp"])
            self._told.add((stream, event["eventId"]))
            if event["message"] == LAST_LINE:
                self._is_log_whole = True
                continue
            yield ("stdout" if stream.lower().endswith("stdout") else "stderr"), event["message"]
