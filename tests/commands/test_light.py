"""Short commands import only what they need: nearly all of their time is spent on imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from chandlery.sources.sample import SAMPLE_SYMBOLS

HEAVY = {
    "boto3",
    "duckdb",
    "lightgbm",
    "numba",
    "pandas",
    "plotly",
    "polars",
    "pyarrow",
    "pydantic",
    "pyspark",
    "scipy",
}
CALL = """
import sys
from chandlery.commands.cli import main
sys.argv = ["chandlery", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(*sorted(set(sys.modules) & {names}), file=sys.stderr)
"""


def list_imported(*words: str) -> set[str]:
    """Return which heavy modules a command has imported by its end, in a process of its own."""
    command = [sys.executable, "-c", CALL.replace("{names}", repr(HEAVY)), *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(ended.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["--help"], set()),
        (["scores", "--lake"], {"polars", "pydantic"}),
        (["explain", SAMPLE_SYMBOLS[0], "--lake"], {"polars", "pydantic"}),
        (["tables", "--lake"], {"polars", "pyarrow", "pydantic"}),
        (["query", "SELECT count(*) FROM candles", "--lake"], {"duckdb", "polars", "pyarrow", "pydantic"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_short_command_imports_little(words: list[str], needed: set[str], sample_lake: Path) -> None:
    assert list_imported(*words, *([str(sample_lake)] if words[-1] == "--lake" else [])) == needed


def test_pandas_can_be_imported_after_a_query() -> None:
    script = """
import sys
from chandlery.machine.imports import hides_pandas
with hides_pandas():
    import pyarrow.dataset
    assert "pandas" not in sys.modules
import pyarrow
assert pyarrow.table({"a": [1]}).to_pandas()["a"].tolist() == [1]
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
