"""The heavy proofs start: what they import is there. The tests do not run them."""

import subprocess
import sys
from pathlib import Path

PROVE = Path(__file__).resolve().parents[2] / "benchmarks" / "prove.py"


def test_the_proofs_start_and_name_their_parts() -> None:
    ended = subprocess.run([sys.executable, PROVE, "nothing"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("no part 'nothing'; expected some of ")
