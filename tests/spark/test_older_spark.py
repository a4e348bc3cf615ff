"""The Spark of a cluster may be older than the one of `chandlery[spark]`: EMR 7 has 3.5."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lakes import SETTINGS, digests, run_lake, write_days

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.full]

ROOT = Path(__file__).parents[2]
OLDER = "3.5.6"
UV = Path(sys.executable).with_name("uv")


def test_spark_3_5_makes_the_same_bytes(tmp_path: Path) -> None:
    pins = [
        line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith(("pyspark", "py4j"))
    ]
    (tmp_path / "pins.txt").write_text("\n".join(pins))
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "environment"], check=True)
    subprocess.run(
        [
            UV,
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--constraint",
            tmp_path / "pins.txt",
            f"{ROOT}[aws]",
            "pandas<3",
            f"pyspark=={OLDER}",
        ],
        check=True,
    )
    write_days(tmp_path / "raw", 0, 40)
    config = tmp_path / "chandlery.toml"
    config.write_text(SETTINGS)
    command = [
        python,
        "-m",
        "chandlery",
        "run",
        "--quiet",
        "--engine",
        "spark",
        "--config",
        config,
        "--source",
        tmp_path / "raw",
        "--lake",
        tmp_path / "older",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": str(python), "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_lake(tmp_path / "raw", tmp_path / "lake")
    assert digests(tmp_path / "older") == digests(tmp_path / "lake")
