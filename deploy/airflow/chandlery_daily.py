"""chandlery, every day: wait → ingest → forecast → check → report.

A run brings the lake up to date with the source, checks that the day is in the lake, and writes the report. A run for a
day that is already in the lake changes nothing. Settings are Airflow Variables, read when a task runs:

| Variable | meaning | without it |
|---|---|---|
| `chandlery_config` | path of chandlery.toml | must be set |
| `chandlery_program` | path of `chandlery`, in its own environment | `chandlery`, on the worker's PATH |
| `chandlery_on` | `worker`: commands run where the task runs; `emr`: they are submitted to EMR Serverless | `worker` |
| `chandlery_report` | the report: a file of the worker, or an object, as in s3://bucket/report.html | see below |
| `chandlery_wait_minutes` | how long after midnight UTC the day's files have arrived | `60` |

Without `chandlery_report`, the report is `report.html` beside chandlery.toml; on EMR, `reports/report.html` in the
lake.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.providers.standard.sensors.date_time import DateTimeSensor
from airflow.sdk import DAG, Asset, BaseOperator, CronDataIntervalTimetable, Variable, chain
from airflow.sdk.exceptions import AirflowException, AirflowFailException

TABLES = Asset("chandlery_tables")  # a DAG with schedule=[Asset("chandlery_tables")] runs after each update
DAY_END = "data_interval_end if data_interval_end is defined else dag_run.run_after"
WAITED = "macros.timedelta(minutes=var.value.get('chandlery_wait_minutes', 60) | int)"
# A run without a data interval, such as one that an asset triggers, starts at once.
WAIT_UNTIL = f"(data_interval_end + {WAITED}) if data_interval_end is defined else dag_run.run_after"

WORTH_RETRYING = (5, 6)
MEANINGS = {
    1: "unexpected",
    2: "settings, credentials or rights are missing or wrong, or the day is not in the lake",
    3: "some input was refused, the rest was done",
    4: "a law was broken",
    5: "a store did not answer: worth retrying",
    6: "another run holds the lake: worth retrying",
}
LAST_LINES = 12
OUTPUT = "--output="
OF_A_SIGNAL = 128  # the exit code of a program that a signal stopped is this and its number
DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


class ChandleryOperator(BaseOperator):
    """Run one command of chandlery as a process: its output is the task's log, its exit code decides the task's state.

    Args:
        arguments: The command and its flags, as templates; one that is rendered empty is left out.
    """

    template_fields = ("arguments",)

    def __init__(self, *, arguments: list[str], **others: Any) -> None:
        super().__init__(**others)
        self.arguments = arguments
        self.process: subprocess.Popen[str] | None = None
        self.is_killed = False

    def execute(self, context: Any) -> None:  # noqa: ARG002 - the signature that Airflow calls
        """Run the command to its end.

        Raises:
            AirflowException: It ended with an exit code that is worth retrying.
            AirflowFailException: It ended with any other code than 0, was killed, or could not be started; the task is
                not retried.
        """
        command, folder = self._make_command()
        self.log.info("in %s: %s", folder, _show(command))
        try:
            self.process = subprocess.Popen(  # noqa: S603 - the program is a setting of the site
                command,
                cwd=folder,
                env={name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="backslashreplace",
                start_new_session=True,
                preexec_fn=_end_with_task,  # noqa: PLW1509 - one call of prctl
            )
        except OSError as error:
            message = (
                f"{command[0]} cannot be started in {folder}: {error.strerror}. "
                "Hint: check the Variables chandlery_program and chandlery_config"
            )
            raise AirflowFailException(message) from error
        last: deque[str] = deque(maxlen=LAST_LINES)
        try:
            if self.is_killed:  # on_kill was called before the process existed
                self.on_kill()
            for line in self.process.stdout or ():
                last.append(line.rstrip())
                self.log.info("%s", last[-1])
            code = self.process.wait()
        except BaseException:  # such as an execution_timeout
            self.on_kill()
            raise
        finally:
            self.is_killed = False
        if code:
            raise (AirflowException if code in WORTH_RETRYING else AirflowFailException)(
                "\n".join([_describe(command, code), *last])
            )

    def on_kill(self) -> None:
        """Send SIGTERM to chandlery and its child processes; Airflow calls this when the task is killed."""
        self.is_killed = True
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)

    def _make_command(self) -> tuple[list[str], Path]:
        """Return the command line and its working directory.

        The directory is that of chandlery.toml, since relative paths in it are relative to it.
        """
        config = Variable.get("chandlery_config", default=None)
        place = Variable.get("chandlery_on", default="worker")
        if not config:
            raise AirflowFailException(
                "the Variable chandlery_config is not set; expected the path of chandlery.toml. "
                "Hint: `chandlery init` writes one"
            )
        if place not in {"worker", "emr"}:
            raise AirflowFailException(f"the Variable chandlery_on is {place!r}; expected worker or emr")
        path, (name, *flags) = Path(config).expanduser().absolute(), filter(None, self.arguments)
        submitted = ["submit"] if place == "emr" else []
        program = Variable.get("chandlery_program", default="chandlery")
        return [program, *submitted, name, "--config", str(path), *flags], path.parent


def _end_with_task() -> None:
    """Let the kernel end chandlery together with its task, which may be killed without a chance to do so."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGTERM)


def _describe(command: list[str], code: int) -> str:
    number = code - OF_A_SIGNAL if code > OF_A_SIGNAL else -code  # chandlery ends by itself, others are ended
    how = f"exit code {code}: {MEANINGS.get(code, 'unknown')}" if number < 1 else signal.Signals(number).name
    return f"{_show(command)} ended with {how}. The end of its output:"


def _show(command: list[str]) -> str:
    """Return a command line for the log, without the place of the report: a URI may hold a credential."""
    return shlex.join(f"{OUTPUT}…" if word.startswith(OUTPUT) else word for word in command)


with DAG(
    dag_id="chandlery_daily",
    description="Raw candles to tables, forecasts, scores and a report",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 - Airflow 3.3 also runs on Python 3.10
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_exponential_backoff": 2.0, "max_retry_delay": timedelta(hours=1)},
    tags=["chandlery"],
):
    chain(
        DateTimeSensor(
            task_id="wait",
            mode="reschedule",
            target_time=f"{{{{ {WAIT_UNTIL} }}}}",
        ),
        ChandleryOperator(task_id="ingest", arguments=["ingest"]),
        ChandleryOperator(task_id="forecast", arguments=["forecast"]),
        ChandleryOperator(
            task_id="check", arguments=["check", "--until", f"{{{{ ({DAY_END}) | ds }}}}"], outlets=[TABLES]
        ),
        ChandleryOperator(
            task_id="report",
            arguments=[
                "report",
                "{% if var.value.get('chandlery_report', '') %}--output={{ var.value.chandlery_report }}{% endif %}",
            ],
        ),
    )
