"""Commands in processes of their own, some of which are killed on the way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
PLACES = [str(TESTS.parent / "src"), str(TESTS / "property")]


def call(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of chandlery to its end."""
    return start("-m", "chandlery", *command)


def call_and_kill(at: int, when: str, *command: str) -> bool:
    """Run a command that is killed at one of its writes; return whether it had so many."""
    done = start(str(Path(__file__).with_name("dying.py")), str(at), when, *command)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


def start(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PLACES)}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
