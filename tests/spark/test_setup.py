"""What is missing or other on the driver or the workers: one sentence that says what, and exit 2."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from lakes import write_days

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DEADLY = """import os, signal
import psutil
from chandlery import feature

@feature("deadly", unit="price", window="1", lookback=1)
def deadly(bars):
    for process in psutil.Process().parents():
        if process.name() == "java":
            os.kill(process.pid, signal.SIGKILL)
    return bars.close
"""
PYTHONS = [f"python3.{minor}" for minor in range(11, 15) if minor != sys.version_info.minor]


def told(tmp_path: Path, settings: str = "", **environment: object) -> str:
    """Return what a run says that is not set up."""
    write_days(tmp_path / "raw", 0, 1, symbols=1)
    config = tmp_path / "chandlery.toml"
    config.write_text(f"[engine.spark]\n{settings}\n")
    command = [
        sys.executable,
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
        tmp_path / "lake",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    aside = ("WARNING: Using incubator modules", "settings: ")  # of Java, and where the settings came from
    lines = [line for line in done.stderr.splitlines() if not line.startswith(aside)]
    assert len(lines) == 1, done.stderr
    return lines[0]


def without(tmp_path: Path, package: str) -> Path:
    """Return a path of modules on which a package cannot be found."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(
        f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')\n"
    )
    return tmp_path


def find_python() -> str:
    """Return a Python of another version."""
    for name in PYTHONS:
        for folder in [
            *map(Path, os.environ["PATH"].split(os.pathsep)),
            *Path("~/.pyenv/versions").expanduser().glob("*/bin"),
        ]:
            path = folder / name
            if path.exists() and subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0:
                return str(path)
    pytest.skip("there is no other Python")


def test_missing_java_is_reported_before_a_lake_is_created(tmp_path: Path) -> None:
    assert "Java is not installed, or JAVA_HOME names no Java; expected Java 17 or later" in told(
        tmp_path, JAVA_HOME="/nowhere"
    )
    assert not (tmp_path / "lake" / "lake.json").exists()


def test_a_java_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(0o644)
    assert "Java is not installed, or JAVA_HOME names no Java; expected Java 17 or later" in told(
        tmp_path, JAVA_HOME=tmp_path
    )


def test_nobody_answers_at_the_master(tmp_path: Path) -> None:
    with socket.socket() as bound:  # and never listens
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert f"nothing answers at spark://127.0.0.1:{port}; expected a master that runs" in told(
            tmp_path, f'"spark.master" = "spark://127.0.0.1:{port}"'
        )


def test_an_option_that_spark_does_not_take(tmp_path: Path) -> None:
    said = told(tmp_path, '"spark.task.cpus" = "two"')
    assert "no Spark session at local[*,4]:" in said
    assert "expected a Java, a master and options that Spark accepts. Hint: correct [engine.spark]" in said


@pytest.mark.parametrize("package", ["pyspark", "pandas", "pyarrow"])
def test_a_package_of_the_extra_is_not_there(tmp_path: Path, package: str) -> None:
    assert f"{package} is not installed; expected the extra `spark`. Hint: pip install 'chandlery[spark]'" in told(
        tmp_path, PYTHONPATH=without(tmp_path, package)
    )


@pytest.mark.parametrize(
    "master", ["mesos://here", "local[two]", "local[0]", "local[2", "spark://nohost", "yarn-client", ""]
)
def test_no_such_kind_of_master(tmp_path: Path, master: str) -> None:
    assert f"spark.master '{master}'; expected local[2], spark://host:7077, yarn" in told(
        tmp_path, f'"spark.master" = "{master}"'
    )


def test_names_without_quotes_are_joined(tmp_path: Path) -> None:
    assert "spark.master 'mesos://here'" in told(
        tmp_path, 'spark.executor.memory = "1g"\nspark.master = "mesos://here"'
    )


def test_options_that_are_none_of_sparks(tmp_path: Path) -> None:
    assert "engine.spark: master: options of Spark begin with spark., as in spark.master" in told(
        tmp_path, 'master = "local[2]"'
    )


def test_yarn_without_its_settings(tmp_path: Path) -> None:
    assert "'yarn' without HADOOP_CONF_DIR" in told(tmp_path, '"spark.master" = "yarn"')


def test_a_python_by_sparks_own_option(tmp_path: Path) -> None:
    assert "executors find no Python at /nowhere/python" in told(tmp_path, '"spark.pyspark.python" = "/nowhere/python"')


def test_workers_have_another_python(tmp_path: Path) -> None:
    said = told(tmp_path, PYSPARK_PYTHON=find_python())
    assert re.search(
        rf"executors run Python 3\.\d+ and the driver 3\.{sys.version_info.minor}; expected one version of Python", said
    )


def test_workers_have_no_python_where_they_look_for_it(tmp_path: Path) -> None:
    assert (
        "executors find no Python at /nowhere/python; expected one that every worker has. Hint: set PYSPARK_PYTHON"
        in told(tmp_path, PYSPARK_PYTHON="/nowhere/python")
    )


def test_workers_have_no_chandlery(tmp_path: Path) -> None:
    if sys.prefix == sys.base_prefix:
        pytest.skip("this Python is no virtual environment: there is none without chandlery")
    assert "executors have no package chandlery; expected the driver's packages" in told(
        tmp_path, PYSPARK_PYTHON=Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    )


def test_workers_have_another_version_of_a_package(tmp_path: Path) -> None:
    there = tmp_path / "numba-0.1.dist-info"
    there.mkdir()
    (there / "METADATA").write_text("Metadata-Version: 2.1\nName: numba\nVersion: 0.1\n")
    assert re.search(
        r"an executor on \S+ has numba 0\.1 for 0\.\d+\.\d+; expected the driver's versions",
        told(tmp_path, f'"spark.executorEnv.PYTHONPATH" = "{tmp_path}"'),
    )


def test_java_that_dies_is_worth_running_again(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", 0, 40, symbols=1)
    (tmp_path / "deadly.py").write_text(DEADLY)
    (tmp_path / "chandlery.toml").write_text(
        '[forecast]\nextensions = ["deadly.py"]\nhorizons = ["5m"]\nmin_train = "10d"\n'
    )
    command = [
        sys.executable,
        "-m",
        "chandlery",
        "run",
        "--quiet",
        "--engine",
        "spark",
        "--config",
        "chandlery.toml",
        "--source",
        "raw",
        "--lake",
        "lake",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert "unexpected" not in done.stderr
