"""How long a command takes that does nearly nothing, beside a process of Python that does nothing.

    python benchmarks/startup.py [--tries 10]

The lake is of generated candles. The shortest of some tries counts, since a shared machine only adds to it. The last
two lines are a first run, which compiles all kernels into an empty folder, and the same run once they are compiled.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = [sys.executable, "-m", "chandlery"]
COMMANDS = {
    "--help": ["--help"],
    "scores": ["scores", "--lake", "lake"],
    "query": ["query", "SELECT count(*) FROM candles", "--lake", "lake"],
    "tables": ["tables", "--lake", "lake"],
}


def measure(command: list[str], folder: Path, tries: int = 1, **variables: str) -> float:
    """Return the seconds of the shortest of some runs of a command."""
    seconds = []
    for _ in range(tries):
        begin = time.perf_counter()
        subprocess.run(command, cwd=folder, env={**os.environ, **variables}, check=True, capture_output=True)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def main() -> None:
    """Make a lake, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=10)
    tries = parser.parse_args().tries
    with tempfile.TemporaryDirectory(prefix="chandlery-startup-") as name:
        folder = Path(name)
        subprocess.run([*PROGRAM, "sample", "raw", "--days", "240", "--faults", "0"], cwd=folder, check=True)
        compiled = {"NUMBA_CACHE_DIR": str(folder / "kernels")}
        run = [*PROGRAM, "run", "--source", "raw", "--horizon", "30m", "--quiet", "--lake"]
        cold = measure([*run, "cold"], folder, **compiled)
        warm = measure([*run, "lake"], folder, **compiled)
        print(f"python -c pass: {measure([sys.executable, '-c', 'pass'], folder, tries):.2f} s")
        for what, words in COMMANDS.items():
            print(f"{what}: {measure([*PROGRAM, *words], folder, tries):.2f} s", flush=True)
        print(f"first run: {cold:.1f} s\nrun with compiled kernels: {warm:.1f} s, {cold - warm:.1f} s less")


if __name__ == "__main__":
    main()
