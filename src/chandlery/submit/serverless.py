"""Job runs on EMR Serverless: starting, following and cancelling them."""

import shlex
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chandlery.errors import SettingsError
from chandlery.machine.aws import translated
from chandlery.submit.job import LAST_LINE

__all__ = ["NOTE", "Clients", "JobRun", "Order", "check_application", "start_job"]

POLL_SECONDS = 5.0  # between two requests for state and log
LATE_POLLS = 12  # of the log after the run has ended: CloudWatch delivers the last lines up to a minute late
ENDED = ("SUCCESS", "FAILED", "CANCELLED")  # the final states
ROLE = "SPARK_DRIVER"  # the container whose log is shown
PYTHON = "./environment/bin/python"  # the archive's Python, where each container unpacks it
LINES_AT_ONCE = 10_000  # the most that CloudWatch returns for one request
LATE_MS = 120_000  # how far back each request looks: lines may arrive in another order than they were written
NOTE = "note"  # the kind of an event that is neither a state nor a line of the log


@dataclass(frozen=True)
class Clients:
    """The clients of EMR Serverless and of CloudWatch Logs."""

    emr: Any
    logs: Any


@dataclass(frozen=True)
class Order:
    """The order of a job run.

    Args:
        application: ID of the EMR Serverless application.
        role: ARN of the role that the run assumes.
        name: Name of the run, and the token by which a repeated request starts it only once.
        entry: URI of the driver's script.
        arguments: Arguments of the script.
        archive: URI of the environment.
        spark: Options of the Spark session.
        log_group: The CloudWatch log group of the driver's output.
    """

    application: str
    role: str
    name: str
    entry: str
    arguments: tuple[str, ...] = field(repr=False)
    archive: str
    spark: Mapping[str, str] = field(repr=False)
    log_group: str


def check_application(clients: Clients, application: str) -> None:
    """Check that an application exists.

    Raises:
        SettingsError: It does not, or reading it is not permitted.
        TransientError: AWS rejected the request because of load, or did not answer.
    """
    with translated(f"application {application} in {clients.emr.meta.region_name}"):
        clients.emr.get_application(applicationId=application)


def start_job(clients: Clients, order: Order) -> "JobRun":
    """Start a job run.

    Raises:
        SettingsError: The application, the role or a permission is missing.
        TransientError: AWS rejected the request because of load, or did not answer.
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
    """Return the parameters of spark-submit, by which every process runs the archive's Python."""
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
        clients: The clients of EMR Serverless and of CloudWatch Logs.
        order: The order that started it.
        identity: Its ID on AWS.
    """

    def __init__(self, clients: Clients, order: Order, identity: str) -> None:
        self._clients, self._order, self.identity = clients, order, identity
        self._shown: set[tuple[str, str]] = set()  # log stream and ID of the events that were yielded
        self._since_ms = 0
        self._state = ""
        self._is_log_whole = False
        self._lacks_log = ""

    def follow(self) -> Iterator[tuple[str, str]]:
        """Yield the events of the run until it has ended.

        Events are (state, details), (stdout, line), (stderr, line), and (NOTE, why the log cannot be read).

        Raises:
            SettingsError: A permission is missing.
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
        """Return the state of the run and AWS's details about it."""
        with translated(f"job run {self.identity}, which goes on"):
            found = self._clients.emr.get_job_run(applicationId=self._order.application, jobRunId=self.identity)[
                "jobRun"
            ]
        return found["state"], found.get("stateDetails") or ""

    def cancel(self) -> None:
        """Cancel the run, unless it has ended already.

        Raises:
            SettingsError: Cancelling is not permitted.
            TransientError: AWS did not answer.
        """
        try:
            with translated(f"cancelling job run {self.identity}, which goes on"):
                self._clients.emr.cancel_job_run(applicationId=self._order.application, jobRunId=self.identity)
        except SettingsError:
            if self.look()[0] not in ENDED:
                raise

    def wait(self) -> str:
        """Wait until the run has ended, and return its state."""
        while (state := self.look()[0]) not in ENDED:
            threading.Event().wait(POLL_SECONDS)
        return state

    def _read_rest(self) -> Iterator[tuple[str, str]]:
        """Yield lines that arrive late, until the driver's last one; none if the driver has not written any."""
        for _ in range(LATE_POLLS):
            if self._is_log_whole or not self._shown:
                return
            threading.Event().wait(POLL_SECONDS)
            yield from self._read_log()

    def _read_log(self) -> Iterator[tuple[str, str]]:
        """Yield the driver's new lines; none while there is no log."""
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
                yield NOTE, f"the log cannot be read yet: {error}"
        for event in sorted(
            (event for page in pages for event in page["events"]), key=lambda event: event["timestamp"]
        ):
            stream = event["logStreamName"]
            if (
                (stream, event["eventId"]) in self._shown
                or not stream.startswith(self._order.name)
                or ROLE not in stream
            ):
                continue
            self._since_ms = max(self._since_ms, event["timestamp"])
            self._shown.add((stream, event["eventId"]))
            if event["message"] == LAST_LINE:
                self._is_log_whole = True
                continue
            yield ("stdout" if stream.lower().endswith("stdout") else "stderr"), event["message"]
