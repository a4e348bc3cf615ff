"""The scanner of `make lint` finds what is planted, and nothing in what is harmless."""

import re
import secrets
import shutil
import string
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def scan(path: Path) -> tuple[int, str]:
    """Run the command that `make lint` runs, on one file."""
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "detect-secrets-hook" in line)
    program, *arguments = line.rpartition("$(BIN)/")[2].split()
    found = shutil.which(program, path=str(Path(sys.executable).parent))
    assert found is not None
    done = subprocess.run([found, *arguments, str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def digits(count: int) -> str:
    return secrets.choice("123456789") + "".join(secrets.choice(string.digits) for _ in range(count - 1))


def letters(count: int, alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"role_arn = 'arn:aws:iam::{digits(12)}:role/pipeline'", "AWS account number"),
        (f"account: {digits(12)}", "AWS account number"),
        (f"key = 'AKIA{letters(16, string.ascii_uppercase + string.digits)}'", "AWS Access Key"),
        (f"password = '{letters(24, string.ascii_letters)}'", "Secret Keyword"),
        ("-----BEGIN " + "RSA PRIVATE KEY-----", "Private Key"),
    ],
    ids=["arn", "account", "access key", "password", "private key"],
)
def test_what_is_planted_is_found(tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / "settings.py"
    path.write_text(f"# of a run\n{text}\n")
    code, told = scan(path)
    assert code == 1
    assert re.search(rf"Secret Type: {kind}\n.*settings\.py:2", told), told


def test_numbers_of_other_lengths_are_none(tmp_path: Path) -> None:
    path = tmp_path / "settings.py"
    path.write_text(f"time = {digits(13)}\nvolume = {digits(11)}\nprice = {digits(3)}.{digits(12)}\n")
    assert scan(path)[0] == 0
