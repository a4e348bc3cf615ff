"""AWS's APIs on this machine: moto as a process of its own, which can be told to enforce IAM."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from s3_server import free_ports

PATIENCE_SECONDS = 60
REGION = "eu-west-1"
# A fresh application is CREATED on AWS, and Terraform waits for that; moto's is STARTED.
STARTER = (
    "from moto.emrserverless import models; models.APPLICATION_STATUS = 'CREATED'; from moto.server import main; main()"
)
KEYS = {
    "AWS_ACCESS_KEY_ID": "setup",
    "AWS_SECRET_ACCESS_KEY": "setup",  # pragma: allowlist secret
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
}


@dataclass(frozen=True)
class Session:
    """Somebody's keys for a server.

    Args:
        endpoint: The server's URL.
        access_key: Their key.
        secret_key: Its secret.
        token: Of a session that a role was assumed for.
    """

    endpoint: str
    access_key: str
    secret_key: str
    token: str | None = None

    def client(self, service: str) -> Any:
        """Return a client that signs with these keys, and tries once."""
        return _make_client(self, service)


@cache
def _make_client(session: Session, service: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={})
    keys = {
        "aws_access_key_id": session.access_key,
        "aws_secret_access_key": session.secret_key,
        "aws_session_token": session.token,
    }
    return boto3.client(service, endpoint_url=session.endpoint, region_name=REGION, config=config, **keys)


@contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """Run a server until the block ends, and yield its URL.

    Raises:
        RuntimeError: It did not answer in time; its log is part of the text.
    """
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    log = folder / "moto.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", STARTER, "-H", "127.0.0.1", "-p", str(port)],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **KEYS},
        )
        try:
            _wait(endpoint, process, log)
            yield endpoint
        finally:
            process.terminate()
            process.wait()


def _wait(endpoint: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            call(endpoint, "moto-api/data.json")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"moto did not answer: {log.read_text()[-2000:]}")


def enforce(endpoint: str, *, iam: bool) -> None:
    """Tell the server whether every request needs a signature and a right."""
    call(endpoint, "moto-api/reset-auth", b"0" if iam else b"inf")


def call(endpoint: str, path: str, body: bytes | None = None) -> bytes:
    """Return what the server says of itself."""
    request = urllib.request.Request(f"{endpoint}/{path}", data=body, headers={"Content-Type": "text/plain"})  # noqa: S310 - our own server
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
        return bytes(answer.read())
