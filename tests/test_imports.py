"""Importing does nothing, and every public name is there."""

import subprocess
import sys

import chandlery


def test_public_names() -> None:
    assert sorted(chandlery.__all__) == chandlery.__all__
    assert len(chandlery.__all__) <= 20
    for name in chandlery.__all__:
        assert getattr(chandlery, name).__doc__


def test_importing_loads_nothing_heavy() -> None:
    script = (
        "import sys, chandlery, chandlery.errors; print(sorted({'polars', 'numba', 'obstore', 'lightgbm', 'duckdb',"
        " 'pyspark'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_prediction_does_not_load_lightgbm() -> None:
    script = (
        "import sys, chandlery.runs.pipeline, chandlery.models; print('lightgbm' in sys.modules, 'sklearn' in"
        " sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False False"


def test_who_has_no_spark_work_loads_no_pyspark() -> None:
    script = (
        "import sys, chandlery.commands.cli, chandlery.commands.show, chandlery.runs.pipeline, chandlery.engines,"
        " chandlery.lake.reading; print('pyspark' in sys.modules, 'py4j' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False False"
