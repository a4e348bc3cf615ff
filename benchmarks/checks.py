"""Time of `check` and `plan` on many new files of a real S3 server, through a proxy that delays each request by 20 ms.

    python benchmarks/checks.py [--files 100000] [--groups 1 10]

The small files of `scale.py`, put without the proxy, in as many folders as there are to be groups of like files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chandlery.lake.store import Store
from gate import LAKE, RAW
from relay import Relay
from scale import make_files

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from s3_server import Server, s3_server

FILES = 100_000
GROUPS = (1, 10)
DELAY_SECONDS = 0.02
UPLOADS = 32
MOST_SECONDS = 60.0


def put_files(store: Store, files: Iterable[Path], groups: int) -> None:
    """Put files into as many folders as there are to be groups."""

    def put(numbered: tuple[int, Path]) -> None:
        number, file = numbered
        store.put(f"{'abcdefghijklmnopqrstuvwxyz'[number % groups]}_folder/{file.name}", file.read_bytes())

    with ThreadPoolExecutor(UPLOADS) as threads:
        list(threads.map(put, enumerate(sorted(files))))


def measure_command(command: str, source: str, storage: dict[str, str], folder: Path) -> float:
    """Run a command that shows how files would be read, print what it found and its seconds, and return these."""
    options = "\n".join(f"{name} = {json.dumps(value)}" for name, value in storage.items())
    config = folder / "chandlery.toml"
    config.write_text(f'[source]\nuri = "{source}"\n[lake]\nuri = "s3://{LAKE}/lake"\n[storage]\n{options}\n')
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "chandlery", command, "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    heads = [line for line in done.stdout.splitlines() if line.startswith("group ")]
    print(f"{command}: {seconds:.1f} s, exit code {done.returncode}; {len(heads)} groups, the first: {heads[:1]}")
    print(done.stderr, end="", flush=True)
    return seconds


def measure(server: Server, files: Path, groups: int, folder: Path) -> bool:
    """Put the files and look at them; print and return whether `check` takes no longer than it may."""
    source = f"s3://{RAW}/groups{groups}"
    put_files(Store(source, server.storage), files.iterdir(), groups)
    relay = Relay(server.endpoint, DELAY_SECONDS)
    with relay.opened() as url:
        storage = server.storage | {"endpoint_url": url}
        seconds = measure_command("check", source, storage, folder)
        measure_command("plan", source, storage, folder)
    holds = seconds <= MOST_SECONDS
    print(f"{'ok  ' if holds else 'FAIL'} check of {groups} groups: {seconds:.1f} s, at most {MOST_SECONDS:.0f}")
    return holds


def main() -> None:
    """Write the files, and measure with each number of groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--groups", type=int, nargs="+", default=GROUPS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chandlery-checks-") as name:
        folder = Path(name)
        make_files(folder / "raw", given.files)
        with s3_server(folder / "server", (RAW, LAKE)) as server:
            os.environ.update(server.admin)
            held = [measure(server, folder / "raw", groups, folder) for groups in given.groups]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
