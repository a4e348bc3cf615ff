"""What `pip install chandlery` brings is enough: a fresh environment without anything for development."""

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def test_a_base_install_runs_from_raw_files_to_scores(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python, chandlery = tmp_path / "venv" / "bin" / "python", tmp_path / "venv" / "bin" / "chandlery"
    subprocess.run(
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--constraint",
            ROOT / "constraints.txt",
            ROOT,
        ],
        check=True,
    )
    extras = subprocess.run([python, "-c", "import sklearn"], check=False, capture_output=True)
    assert extras.returncode == 1, "scikit-learn is not part of the base install"

    def call(*words: object) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [chandlery, *map(str, words)], check=False, capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert done.returncode in {0, 3}, done.stderr  # the sample's planted faults are refused, and told by 3
        return done.stdout

    call("sample", "raw", "--symbols", "2", "--days", "50")
    (tmp_path / "chandlery.toml").write_text('[forecast]\nmin_train = "10d"\n')
    call("run", "--source", "raw", "--lake", "lake", "--horizon", "5m", "--quiet")
    scores = json.loads(call("scores", "--lake", "lake", "--json"))
    assert {row["model"] for row in scores} == {"linear", "tree", "boosted", "blend", "served", "naive"}
