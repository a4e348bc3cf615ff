"""A small lake made by a real run, and what bits depend on beside the code.

The run takes place in a process of its own, on the instructions that every x86-64 processor with AVX2 has: wider ones
add in another order. These libraries choose their code by the processor: OpenBLAS, NumPy and Numba. LightGBM's wheel
has SSE2 alone.
"""

import datetime as dt
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
import threadpoolctl
from digesting import Digests, Listener, digest_lake, hash_value

import chandlery
from chandlery.machine.libraries import minor_versions
from chandlery.models import BUILT_IN
from chandlery.progress import Silent
from chandlery.runs import pipeline
from chandlery.settings.model import load_settings
from chandlery.sources.sample import SamplePlan, write_sample
from chandlery.state.fingerprints import STAGES

__all__ = [
    "AFRESH",
    "RECORDED",
    "Found",
    "Machine",
    "name_versions",
    "read_recorded",
    "run_golden",
    "why_not_here",
    "write_recorded",
]

RECORDED = Path(__file__).parent / "digests.json"
AFRESH = "--afresh"  # of record.py: compare with nothing
NEEDED = ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt")  # of haswell, as LLVM names them
SAME_BITS = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # NumPy passes over what the processor lacks
    "NUMBA_CPU_NAME": "haswell",  # the key of Numba's cache has both: code for this machine stays beside it
    "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in NEEDED),
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "TZ": "UTC",
}
# Of the environment. In a NUMBA_CACHE_DIR kernels stay as they were when one that they call has changed: see jit.
LEFT_OUT = ("AWS_", "CHANDLERY_", "NPY_", "NUMBA_", "OPENBLAS_", "POLARS_")
# Every model is fitted in December and in January; there are checkpoints of the first and the tenth of January.
SYMBOLS = ("BTCUSD", "ETHUSD", "LTCUSD")
START, DAYS, INTERVAL_MINUTES = dt.date(2018, 11, 7), 66, 5
FORECAST = {
    "horizons": ["5m", "30m"],
    "min_train": "20d",
    "models": list(BUILT_IN),
    "references": ["BTCUSD", "ETHUSD"],
}
MODIFIED = dt.datetime(2019, 2, 1, tzinfo=dt.UTC).timestamp()


class Machine(NamedTuple):
    """What bits depend on beside the code.

    Args:
        system: Processor, operating system and Python, for people to read.
        libraries: By name, major and minor version.
        blas: For which processors its kernels are.
        arithmetic: Digest of elementary functions and of linear algebra on fixed numbers.
    """

    system: str
    libraries: dict[str, str]
    blas: list[str]
    arithmetic: str


class Found(NamedTuple):
    """A run of the golden lake.

    Args:
        machine: Where it ran.
        lake: Digest of the raw files and the settings.
        versions: Of stages and models, by name.
        digests: By part.
    """

    machine: Machine
    lake: str
    versions: dict[str, int]
    digests: dict[str, str]

    def why_not_comparable(self, other: "Found") -> str:
        """Return why another run's digests may differ though the code is the same; empty where they may not."""
        here, there = other.machine, self.machine
        if self.lake != other.lake:
            return "the raw files or the settings of the golden lake changed"
        if here.libraries != there.libraries:
            return f"digests were recorded with {there.libraries}; here are {here.libraries}"
        if here.blas != there.blas:
            return f"digests were recorded with kernels of OpenBLAS for {there.blas}; here are those for {here.blas}"
        if here.arithmetic != there.arithmetic:
            return f"elementary functions round otherwise on {here.system} than on {there.system}, of the digests"
        return ""

    def to_json(self, indent: int | None = None) -> str:
        """Return all of it as JSON."""
        return json.dumps(self._asdict() | {"machine": self.machine._asdict()}, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> "Found":
        """Return what JSON holds."""
        plain: dict[str, Any] = json.loads(text)
        return cls(**plain | {"machine": Machine(**plain["machine"])})


def read_recorded() -> Found:
    """Return what was recorded."""
    return Found.from_json(RECORDED.read_text())


def write_recorded(found: Found) -> None:
    """Replace what was recorded."""
    RECORDED.write_text(found.to_json(indent=2) + "\n")


def name_versions() -> dict[str, int]:
    """Return the versions of all stages and built-in models by name."""
    models = {f"model {model.name}": model.algorithm for model in BUILT_IN.values()}
    return {f"stage {stage}": number for stage, number in STAGES.items()} | models


def why_not_here(recorded: Machine | None = None) -> str:
    """Return why this machine cannot make the recorded bits, without running anything; empty where it may.

    Args:
        recorded: Where digests were recorded; any libraries do where it is left out.
    """
    has = llvm.get_host_cpu_features()
    lacking = [name for name in NEEDED if not has.get(name)]
    if platform.machine().lower() not in {"x86_64", "amd64"} or lacking:
        return f"digests hold for x86-64 processors with {', '.join(NEEDED)}; this {platform.machine()} lacks some"
    wanted, here = (recorded.libraries if recorded else {}), minor_versions()
    others = [f"{name} {here[name]} instead of {number}" for name, number in wanted.items() if here[name] != number]
    return f"digests were recorded with other libraries: here is {', '.join(others)}" if others else ""


def run_golden() -> Found:
    """Run the golden lake in a process of its own; return what it computed.

    Raises:
        RuntimeError: The run failed.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    paths = [str(Path(chandlery.__file__).parents[1]), *filter(None, [kept.get("PYTHONPATH")])]
    environment = kept | SAME_BITS | {"PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryDirectory(prefix="chandlery-golden-") as folder:
        command = [sys.executable, __file__, folder]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the run of the golden lake failed:\n{done.stderr}")
    return Found.from_json(done.stdout.splitlines()[-1])


def write_raw(folder: Path) -> None:
    """Write the raw files: CSV and JSON, all with planted faults, and a later file with other versions of some candles.

    Two files lack runs of candles, from likely ones to improbable ones, and have a day without a move; one has a
    stretch of wild prices. So the limits for these decide something. Modification times are fixed: they stand in the
    ledger, and decide which version of a candle stays.
    """
    for form, symbols in (("csv", SYMBOLS[:2]), ("json", SYMBOLS[2:])):
        plan = SamplePlan(SYMBOLS, DAYS, START, INTERVAL_MINUTES, form, fault_share=0.002, seed=11)
        for file in write_sample(plan):
            if file.name.partition(".")[0].upper() in symbols:
                (folder / file.name).write_bytes(file.content)
    for name in ("btcusd.csv", "ethusd.csv"):
        header, *lines = (folder / name).read_text().splitlines()
        still = float(lines[6_000].split(",")[1])
        lines[6_000:6_300] = [reprice(line, lambda _, price=still: price) for line in lines[6_000:6_300]]
        if name == "ethusd.csv":
            lines[12_500:12_700:2] = [reprice(line, lambda price: price * 1.02) for line in lines[12_500:12_700:2]]
            some = enumerate(lines[3_000:3_300])
            again = [line.rpartition(",")[0] + ",1.5" if place % 3 else line for place, line in some]
            (folder / "ethusd_again.csv").write_text("\n".join([header, *again]) + "\n")
        for count in range(14, 2, -1):
            del lines[1_000 * count : 1_000 * count + count]
        (folder / name).write_text("\n".join([header, *lines]) + "\n")
    for number, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (MODIFIED + number, MODIFIED + number))


def reprice(line: str, change: Callable[[float], float]) -> str:
    """Return a line of CSV with its prices changed; a faulty line as it is."""
    time, *prices, volume = line.split(",")
    try:
        return ",".join([time, *(f"{change(float(price)):.6g}" for price in prices), volume])
    except ValueError:
        return line


def describe_machine() -> Machine:
    """Return what bits depend on in this process."""
    libc = " ".join(platform.libc_ver())
    system = f"{platform.system()} {platform.machine()}, {libc}, Python {platform.python_version()}"
    kernels = {found["architecture"] for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"}
    return Machine(system, minor_versions(), sorted(kernels), probe_arithmetic())


def probe_arithmetic() -> str:
    """Return a digest of elementary functions and of linear algebra on fixed numbers.

    Where it is another one, the C library or NumPy rounds otherwise, and no stage can have the recorded bits.
    """
    steps = np.arange(-20_000, 20_001) / 1_000
    positive = np.abs(steps) + 1e-3
    found = [np.power(positive, 0.3), *(function(steps) for function in (np.exp, np.expm1, np.sin, np.tanh))]
    for values in (positive, positive.astype(np.float32)):
        found += [function(values) for function in (np.exp, np.log, np.log1p, np.sqrt)]
    for plain in (math.exp, math.log, math.log1p, math.erfc):
        found.append(np.array([plain(value) for value in positive.tolist()]))
    square = np.sin(np.arange(181.0**2)).reshape(181, 181)
    single = square.astype(np.float32)
    found += [square.T @ square, single.T @ single, single.T @ single[:, :2]]
    found.append(np.linalg.solve(square + 20 * np.eye(181), square[0]))
    return hash_value([hash_value(array) for array in found])


def main(folder: Path) -> None:
    """Make the lake in a folder, and print what was found as one line of JSON."""
    raw, lake = folder / "raw", folder / "lake"
    raw.mkdir()
    write_raw(raw)
    files = [(path.name, path.stat().st_mtime, path.read_text()) for path in sorted(raw.iterdir())]
    flags = {
        "source": {"uri": str(raw), "exchange": "bitfinex"},
        "lake": {"uri": str(lake)},
        "forecast": FORECAST,
        "engine": {"workers": 1},
    }
    digests = Digests()
    with Listener() as listener:
        report = pipeline.run(load_settings(None, flags), pipeline.Options(), Silent())
    assert report.exit_code == 0, report.messages
    digest_lake(lake, digests)
    listener.report(digests)
    print(Found(describe_machine(), hash_value([FORECAST, files]), name_versions(), digests.to_dict()).to_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
