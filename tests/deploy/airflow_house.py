"""A whole Airflow in tests: PostgreSQL, API server, dag processor and scheduler, and what is asked of them."""

import datetime as dt
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from s3_server import die_with_parent, free_ports
from sites import PYTHON, ROOT, Site

DAG_ID = "chandlery_daily"
PATIENCE_SECONDS = 400
POLL_SECONDS = 0.5
ENDED = {"success", "failed"}
Found = dict[str, Any]


class House:
    """A running Airflow.

    Args:
        folder: Its home.
        port: Of its API server.
        environment: Of its commands.
        services: Its processes; the last is the scheduler.
    """

    def __init__(
        self, folder: Path, port: int, environment: Mapping[str, str], services: "list[subprocess.Popen[bytes]]"
    ) -> None:
        self._folder, self._url, self._environment, self._services = (
            folder,
            f"http://127.0.0.1:{port}",
            environment,
            services,
        )
        self._token, self._started = "", 0

    def call(self, method: str, path: str, content: object = None) -> Found:
        """Ask the API server."""
        if not self._token and not path.startswith("/auth"):
            self._token = self.call("GET", "/auth/token")["access_token"]
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self._token}"} if self._token else {}),
        }
        body = json.dumps(content).encode() if content is not None else None
        asked = urllib.request.Request(self._url + path, body, headers, method=method)  # noqa: S310 - http, on this machine
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=60) as answer:
            return dict(json.loads(answer.read() or b"{}"))

    def command(self, *words: str) -> None:
        """Run Airflow's own command line."""
        done = subprocess.run(
            [PYTHON, "-m", "airflow", *words],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def wait(self, look: Callable[[], Any], what: str) -> Any:
        """Return what a look finds, once it finds something."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and all(service.poll() is None for service in self._services):
            with suppress(OSError):  # it is not there yet, or does not answer in time
                if found := look():
                    return found
            with suppress(subprocess.TimeoutExpired):
                self._services[-1].wait(POLL_SECONDS)
        raise AssertionError(f"{what} did not come: {self.logs()}")

    def logs(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in sorted(self._folder.glob("*.log"))
        )

    def open(self) -> None:
        """Wait until the DAG has been read."""
        self.wait(lambda: self.call("GET", f"/api/v2/dags/{DAG_ID}"), "the DAG")

    def unpause(self) -> None:
        self.call("PATCH", f"/api/v2/dags/{DAG_ID}", {"is_paused": False})

    def set_variable(self, name: str, value: str) -> None:
        """Set one of the DAG's Variables."""
        content = {"key": f"chandlery_{name}", "value": value}
        try:
            self.call("POST", "/api/v2/variables", content)
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
            self.call("PATCH", f"/api/v2/variables/{content['key']}", content)

    def backfill(self, first: dt.date, last: dt.date) -> list[Found]:
        """Backfill some days, also those that are done; return their runs, by day."""
        dates = ("--from-date", str(first), "--to-date", str(last))
        self.command(
            "backfill",
            "create",
            "--dag-id",
            DAG_ID,
            *dates,
            "--max-active-runs",
            "1",
            "--reprocess-behavior",
            "completed",
        )
        self.wait(
            lambda: all(
                found["completed_at"] for found in self.call("GET", f"/api/v2/backfills?dag_id={DAG_ID}")["backfills"]
            ),
            "the end of the backfill",
        )
        return [
            run
            for run in self.runs()
            if run["run_type"] == "backfill" and first <= dt.datetime.fromisoformat(run["logical_date"]).date() <= last
        ]

    def runs(self) -> list[Found]:
        return list(self.call("GET", f"/api/v2/dags/{DAG_ID}/dagRuns?order_by=logical_date&limit=100")["dag_runs"])

    def start(self, day: dt.date) -> Found:
        """Trigger a day's run."""
        self._started += 1  # no two runs have the same logical date
        moment = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(0, 0, self._started), dt.UTC)
        return self.call("POST", f"/api/v2/dags/{DAG_ID}/dagRuns", {"logical_date": moment.isoformat()})

    def run(self, day: dt.date) -> Found:
        """Trigger a day's run and wait for its end."""
        return self.wait_for_end(self.start(day))

    def wait_for_end(self, run: Found) -> Found:
        """Return a run as it is when it has ended."""
        return dict(
            self.wait(
                lambda: (found := self.call("GET", self._path(run)))["state"] in ENDED and found,
                f"the end of {run['dag_run_id']}",
            )
        )

    def wait_for_run(self, is_meant: Callable[[Found], bool]) -> Found:
        """Return the first run that is meant, when it has ended."""
        return self.wait_for_end(self.wait(lambda: next(filter(is_meant, self.runs()), None), "the run"))

    def wait_for_task(self, run: Found, task: str, state: str) -> None:
        self.wait(lambda: self.tasks(run)[task][0] == state, f"{task} {state}")

    def tasks(self, run: Found) -> dict[str, tuple[str, int]]:
        """Return state and tries of each task."""
        return {
            found["task_id"]: (found["state"], found["try_number"])
            for found in self.call("GET", f"{self._path(run)}/taskInstances")["task_instances"]
        }

    def events(self, run: Found) -> list[str]:
        """Return whose asset events a run has made."""
        found = self.call(
            "GET",
            f"/api/v2/assets/events?source_dag_id={DAG_ID}&limit=100"
            f"&source_run_id={urllib.request.quote(run['dag_run_id'])}",
        )
        return [event["source_dag_id"] for event in found["asset_events"]]

    def fail(self, run: Found, task: str) -> None:
        """Mark a task as failed, as somebody does by hand."""
        self.call("PATCH", f"{self._path(run)}/taskInstances/{task}", {"new_state": "failed"})

    def clear_failed(self, run: Found) -> None:
        """Clear what has failed in a run, and what waits for it."""
        self.call(
            "POST",
            f"/api/v2/dags/{DAG_ID}/clearTaskInstances",
            {"dry_run": False, "dag_run_id": run["dag_run_id"], "only_failed": True, "reset_dag_runs": True},
        )

    def log(self, run: Found, task: str, number: int) -> str:
        return next(
            (self._folder / "logs").rglob(f"run_id={run['dag_run_id']}/task_id={task}/attempt={number}.log")
        ).read_text()

    def retried(self, run: Found) -> str:
        """Return the logs of the first tries of tasks that were tried again, for the message of a failed test."""
        return "\n".join(self.log(run, task, 1) for task, (_, tries) in self.tasks(run).items() if tries > 1)

    def chandlery(self, site: Site) -> psutil.Process:
        """Wait until a command of chandlery runs, and return it."""
        return self.wait(
            lambda: next(
                (
                    process
                    for process in psutil.Process(self._services[-1].pid).children(recursive=True)
                    if _is_chandlery(process, site)
                ),
                None,
            ),
            "chandlery",
        )

    def _path(self, run: Found) -> str:
        return f"/api/v2/dags/{DAG_ID}/dagRuns/{urllib.request.quote(run['dag_run_id'])}"


def _is_chandlery(process: psutil.Process, site: Site) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        line = process.cmdline()
        return str(site.config) in line and "chandlery" in line
    return False


@contextmanager
def open_house(folder: Path, credentials: Mapping[str, str]) -> Iterator[House]:
    """Run Airflow until the block ends.

    Args:
        folder: Its home.
        credentials: What its tasks find in their environment.
    """
    if not PYTHON.exists():
        pytest.skip("Airflow's environment is not there: `make .venv-airflow/.ready`")
    with ExitStack() as parts:
        database = parts.enter_context(postgres())
        (port,) = free_ports(1)
        environment = {**os.environ, **credentials, **_settings(folder, database, port)}
        environment.pop("PYTHONPATH", None)
        subprocess.run(
            [PYTHON, "-m", "airflow", "db", "migrate"], env=environment, cwd=folder, check=True, capture_output=True
        )
        programs = {
            "api-server": ("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            "dag-processor": (),
            "scheduler": ("--skip-serve-logs",),
        }
        services = [
            parts.enter_context(
                service([str(PYTHON), "-m", "airflow", name, *words], folder / f"{name}.log", environment)
            )
            for name, words in programs.items()
        ]
        house = House(folder, port, environment, services)
        house.open()
        yield house


def _settings(folder: Path, database: str, port: int) -> dict[str, str]:
    sections = {
        "core": {
            "dags_folder": ROOT / "deploy" / "airflow",
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 2,
            "default_task_retry_delay": 1,
            "simple_auth_manager_all_admins": True,
        },
        "database": {"sql_alchemy_conn": database},
        "api": {"base_url": f"http://127.0.0.1:{port}", "secret_key": secrets.token_hex(16)},
        "api_auth": {"jwt_secret": secrets.token_hex(32)},
    }
    named = {
        f"AIRFLOW__{section}__{name}".upper(): str(value)
        for section, values in sections.items()
        for name, value in values.items()
    }
    return {"AIRFLOW_HOME": str(folder), "HOME": str(folder), "NO_COLOR": "1", **named}


@contextmanager
def service(
    command: list[str], log: Path, environment: Mapping[str, str], user: str | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the block ends, in a group of its own; it ends with this process too."""
    as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call of prctl
            **as_user,
        )
    try:
        yield process
    finally:
        below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        for child in below:
            with suppress(psutil.NoSuchProcess):
                child.kill()


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL of its own until the block ends; yield its address. It will not run as root: then as postgres,
    or nobody.
    """
    programs = {name: shutil.which(name) for name in ("initdb", "postgres")}
    if not all(programs.values()):
        pytest.skip("there is no PostgreSQL: initdb and postgres are not on the PATH")
    user = next(name for name in ("postgres", "nobody") if _is_user(name)) if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="chandlery-postgres-"))
    (port,) = free_ports(1)
    try:
        if user:
            shutil.chown(folder, user)
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        with service(
            [str(programs["initdb"]), "-D", "data", "-U", "airflow", "--auth=trust", "--encoding=UTF8", "--no-sync"],
            folder / "initdb.log",
            environment,
            user,
        ) as making:
            assert making.wait() == 0, (folder / "initdb.log").read_text()
        log = folder / "postgres.log"
        with service(
            [str(programs["postgres"]), "-D", "data", "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"],
            log,
            environment,
            user,
        ) as running:
            while "ready to accept connections" not in log.read_text():
                with suppress(subprocess.TimeoutExpired):
                    running.wait(POLL_SECONDS)
                assert running.poll() is None, log.read_text()
            yield f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_user(name: str) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False
