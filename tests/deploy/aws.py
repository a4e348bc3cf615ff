"""AWS as far as it can be had here: moto's HTTP server, buckets on the real S3 server, and who does with a job run
what EMR Serverless would do.
"""

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
from lakes import SETTINGS, to_toml
from moto.core import DEFAULT_ACCOUNT_ID
from moto.emrserverless import emrserverless_backends, models
from moto.server import ThreadedMotoServer
from s3_server import Server

from chandlery.lake.store import Store
from chandlery.schema import TABLES
from chandlery.submit.job import EXIT_CODE

REGION = "us-east-1"
ROLE = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/pipeline"
BEGINS_AS = "SUBMITTED"  # with AWS; with moto all job runs have ended well as they begin
PATIENCE_SECONDS = 900  # of a whole run, on a busy machine too
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Cloud:
    """EMR Serverless, CloudWatch and Glue from moto; buckets from the S3 server.

    Args:
        endpoint: Of moto.
        server: Of buckets.
        application: Of EMR Serverless.
        folder: Of settings, and of what comes with them.
    """

    endpoint: str
    server: Server
    application: str
    folder: Path

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint)

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """Return how a program finds this cloud."""
        return {**self.server.admin, "AWS_ENDPOINT_URL": endpoint or self.endpoint, "AWS_DEFAULT_REGION": REGION}

    def settle(
        self,
        lake: str,
        *,
        source: str = "s3://crypto-raw/plain",
        more: str = "",
        catalog: str = "",
        submit: Mapping[str, str] | None = None,
    ) -> Path:
        """Write settings for a lake."""
        sections = {
            "lake": {"uri": f"s3://crypto-lake/{lake}", "catalog": catalog},
            "source": {"uri": source},
            "storage": self.server.storage,
            "submit": {
                "application_id": self.application,
                "role_arn": ROLE,
                "staging": "s3://crypto-staging/for/jobs",
                **(submit or {}),
            },
        }
        config = self.folder / f"{lake}.toml"
        config.write_text(SETTINGS + more + to_toml(sections))
        return config

    def start(self, command: str, lake: str, *, endpoint: str = "", **settings: Any) -> "subprocess.Popen[str]":
        """Submit a command for a lake."""
        config = self.settle(lake, **settings)
        arguments = [sys.executable, "-m", "chandlery", "submit", *command.split(), "--config", str(config)]
        return subprocess.Popen(
            arguments,
            env={**os.environ, **self.environment(endpoint)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def make_database(self, name: str, lake: str) -> str:
        """Make in Glue what deploy/terraform makes: a table each, with projected partitions; return its name."""
        glue = self.client("glue")
        glue.create_database(DatabaseInput={"Name": name})
        for table in TABLES.values():
            keys = [{"Name": key, "Type": "string"} for key in table.partitions]
            named = [key for key in ("exchange", "interval", "symbol") if key in table.partitions]
            parameters = {"projection.enabled": "true"}
            for key in named:
                parameters |= {f"projection.{key}.type": "enum", f"projection.{key}.values": "none"}
            if "horizon_minutes" in table.partitions:
                settings = {"type": "integer", "range": "15,60", "interval": "15"}
                parameters |= {f"projection.horizon_minutes.{name}": value for name, value in settings.items()}
            glue.create_table(
                DatabaseName=name,
                TableInput={
                    "Name": table.name,
                    "PartitionKeys": keys,
                    "Parameters": parameters,
                    "StorageDescriptor": {
                        "Location": f"{lake}/{table.name}/",
                        "Columns": [{"Name": "source", "Type": "string"}],
                    },
                },
            )
        return name

    def jobs(self) -> list[Any]:
        """Return all job runs, in the order in which they were started."""
        return list(emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION].job_runs.get(self.application, []))

    def take(self) -> "Given":
        """Wait for a job run that nobody has begun, and take it on."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for job in self.jobs():
                if job.state == BEGINS_AS:
                    job.state = "RUNNING"
                    return Given(job, self)
            threading.Event().wait(POLL_SECONDS)
        raise AssertionError("no job run was started")


@dataclass(frozen=True)
class Given:
    """A job run in hand: what AWS would do with it is done here, as far as the test wants."""

    job: Any
    cloud: Cloud

    @property
    def driver(self) -> dict[str, Any]:
        """What is to be run: entryPoint, entryPointArguments, sparkSubmitParameters."""
        return dict(self.job.job_driver["sparkSubmit"])

    @property
    def options(self) -> dict[str, str]:
        """The Spark options that were asked for."""
        words = shlex.split(self.driver["sparkSubmitParameters"])
        assert words[::2] == ["--conf"] * (len(words) // 2)
        return dict(word.split("=", 1) for word in words[1::2])

    def fetch(self, uri: str, folder: Path) -> Path:
        """Copy an object to a folder."""
        place, _, name = uri.rpartition("/")
        (folder / name).write_bytes(Store(place, self.cloud.server.storage).get(name) or b"")
        return folder / name

    def carry_out(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        """Run the entry point by a command; its lines go where they were ordered to go, and the job run ends as it
        ended.
        """
        done = subprocess.run(
            [*command, self.driver["entryPoint"], *self.driver["entryPointArguments"]],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        self.log("STDOUT", done.stdout)
        self.log("STDERR", done.stderr)
        self.end(
            "FAILED" if done.returncode else "SUCCESS",
            f"the driver ended with {done.returncode}" if done.returncode else "",
        )

    def bring_entry(self, folder: Path) -> "Given":
        """Fetch the entry point into a folder; return the job run that begins with it there."""
        self.job.job_driver["sparkSubmit"]["entryPoint"] = str(self.fetch(self.driver["entryPoint"], folder))
        return self

    def carry_out_here(self, folder: Path) -> None:
        """Let this environment be the driver's container."""
        self.bring_entry(folder).carry_out([sys.executable], {**os.environ, **self.cloud.server.admin}, folder)

    def leave(self, code: bytes) -> None:
        """Leave an exit code, as the driver does."""
        Store(self.driver["entryPoint"].rpartition("/")[0], self.cloud.server.storage).put(EXIT_CODE, code)

    def log(self, kind: str, text: str) -> None:
        """Put lines into the driver's log stream."""
        wanted = self.job.configuration_overrides["monitoringConfiguration"]["cloudWatchLoggingConfiguration"]
        place = {
            "logGroupName": wanted["logGroupName"],
            "logStreamName": (
                f"{wanted['logStreamNamePrefix']}/applications/{self.job.application_id}"
                f"/jobs/{self.job.id}/SPARK_DRIVER/{kind.lower()}"
            ),
        }
        assert kind in wanted["logTypes"]["SPARK_DRIVER"]
        logs = self.cloud.client("logs")
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(**place)
        now = int(time.time() * 1000)
        if lines := list(filter(None, text.splitlines())):  # CloudWatch takes no empty line
            logs.put_log_events(**place, logEvents=[{"timestamp": now, "message": line} for line in lines])

    def end(self, state: str, details: str = "") -> None:
        """Let the job run end."""
        self.job.state_details, self.job.state = details, state


@contextmanager
def held_back(call: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Let a call to EMR Serverless be done, and its answer wait; yield what is set when it has come, and what lets it
    go on.
    """
    backend = emrserverless_backends[DEFAULT_ACCOUNT_ID][REGION]
    came, go_on, before = threading.Event(), threading.Event(), getattr(backend, call)

    def call_and_wait(*words: Any, **named: Any) -> Any:
        answer = before(*words, **named)
        came.set()
        go_on.wait(PATIENCE_SECONDS)
        return answer

    setattr(backend, call, call_and_wait)
    try:
        yield came, go_on
    finally:
        delattr(backend, call)


@contextmanager
def open_cloud(folder: Path, server: Server) -> Iterator[Cloud]:
    """Run moto's server until the block ends, with an application and a log group."""
    before, models.JOB_STATUS = models.JOB_STATUS, BEGINS_AS
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        cloud = Cloud(f"http://{host}:{port}", server, "", folder)
        application = cloud.client("emr-serverless").create_application(
            name="chandlery", releaseLabel="emr-7.12.0", type="SPARK"
        )["applicationId"]
        cloud.client("logs").create_log_group(logGroupName="/aws/emr-serverless")
        yield replace(cloud, application=application)
    finally:
        moto.stop()
        models.JOB_STATUS = before
