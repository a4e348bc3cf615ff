"""Sets of files as people have them, with what is right: read right, or refused with the true reason."""

import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parents[3] / "shared" / "cases"
PROGRAM = Path(sys.executable).with_name("chandlery")

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not beside the repository")
def test_every_case_is_right() -> None:
    command = [sys.executable, str(CASES / "check_cases.py"), str(CASES), "--chandlery", str(PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if not line.startswith("ok"))
