"""A first run on a machine compiles the kernels of forecasts side by side, and all of them at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Events of Numba tell what is compiled. Kernels that were compiled before are loaded, and not compiled.
LISTEN = """
import sys
import numba
from numba.core import event

class Listener(event.Listener):
    def __init__(self):
        self.names = []
    def on_start(self, begun):
        function = begun.data["dispatcher"].py_func
        if function.__module__.startswith("chandlery."):
            self.names.append(f"{function.__module__}.{function.__name__}")
    def on_end(self, ended):
        pass

listener = Listener()
event.register("numba:compile", listener)
"""
RUN = """
import chandlery
from chandlery.settings.model import load_settings
layer = {"source": {"uri": sys.argv[1]}, "lake": {"uri": sys.argv[2]}, "forecast": {"horizons": ["30m"]}}
chandlery.run(load_settings(None, layer | {"engine": {"workers": int(sys.argv[3])}}))
print(*listener.names, sep="\\n")
"""
ALL = """
from chandlery.tasks.kernels import KERNELS, are_compiled, compile_kernels
assert not are_compiled()
for name in KERNELS:
    compile_kernels(name)
assert are_compiled()
listener.names.clear()
"""
OF_INGEST = {"candles.gaps.count_before", "candles.gaps.count_heard", "elementwise.log1p_each"}


def compile_in_run(tmp_path: Path, before: str, workers: int) -> list[str]:
    """Return which kernels this process compiles in a run with an empty folder for compiled code."""
    sample = [sys.executable, "-m", "chandlery", "sample", str(tmp_path / "raw"), "--days", "240", "--faults", "0"]
    subprocess.run(sample, check=True, capture_output=True)
    words = [str(tmp_path / "raw"), str(tmp_path / "lake"), str(workers)]
    ended = subprocess.run(
        [sys.executable, "-c", LISTEN + before + RUN, *words],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [name.removeprefix("chandlery.") for name in ended.stdout.split()]


def test_a_run_compiles_no_kernel_of_forecasts_for_other_types(tmp_path: Path) -> None:
    assert set(compile_in_run(tmp_path, ALL, 1)) <= OF_INGEST


def test_two_processes_share_the_work_of_a_first_run(tmp_path: Path) -> None:
    compiled = set(compile_in_run(tmp_path, "", 2)) - OF_INGEST
    alone = set(compile_in_run(tmp_path / "alone", "", 1)) - OF_INGEST
    assert compiled < alone
