"""The notebook runs anywhere, has the same outputs each time, and is stored without outputs."""

import datetime as dt
import json
import os
import re
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lakes import run_lake
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from chandlery.sources.sample import SamplePlan, write_sample

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
THIRTY = NOTEBOOKS[0].with_name("thirty_minutes_ahead.ipynb")


def execute(folder: Path, lake: str, monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, Any]]]:
    """Return the outputs of each cell, executed in a folder; raise if a cell raises."""
    notebook = nbformat.read(THIRTY, as_version=4)
    with tempfile.TemporaryDirectory(prefix="nb-") as runtime:
        for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            monkeypatch.setenv(name, runtime)
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
        client.execute(env={**os.environ, "CHANDLERY_LAKE": lake, "TMPDIR": str(folder)})
    return [cell["outputs"] for cell in notebook.cells if cell.cell_type == "code"]


def read_conclusion(outputs: list[list[dict[str, Any]]]) -> str:
    """Return the text of the last cell."""
    return str(outputs[-1][-1]["data"]["text/markdown"])


def warnings_in(outputs: list[list[dict[str, Any]]]) -> list[str]:
    return [output["text"] for cell in outputs for output in cell if output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] or cell["metadata"]] == []
    assert notebook["metadata"]["language_info"] == {"name": "python"}, "no version of a certain machine"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_sentence_stands_before_each_cell_and_no_number_in_it(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert [
        after["id"]
        for before, after in pairwise(cells)
        if after["cell_type"] == "code" and before["cell_type"] != "markdown"
    ] == []
    prose = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert re.findall(r"\d[\d.,]*", prose) == [], "numbers are computed, not typed"


@pytest.mark.slow
def test_it_needs_no_lake_and_has_the_same_outputs_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        said.append(execute(tmp_path / name, "", monkeypatch))
        assert warnings_in(said[-1]) == []
        assert not list((tmp_path / name).iterdir()), "no file is left"
    assert said[0] == said[1]
    assert "synthetic" in read_conclusion(said[0])
    assert sum("application/vnd.plotly.v1+json" in output.get("data", {}) for cell in said[0] for output in cell) == 4


@pytest.mark.slow
def test_it_reads_an_existing_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raw").mkdir()
    for file in write_sample(SamplePlan(("BTCUSD", "ETHUSD", "LTCUSD"), days=75, start=dt.date(2018, 11, 25), seed=7)):
        (tmp_path / "raw" / file.name).write_bytes(file.content)
    run_lake(tmp_path / "raw", tmp_path / "lake", horizons=["5m", "30m"], min_train="20d")
    outputs = execute(tmp_path, str(tmp_path / "lake"), monkeypatch)
    assert warnings_in(outputs) == []
    assert "synthetic" not in read_conclusion(outputs)
    assert read_conclusion(outputs).count("skill") >= 2


@pytest.mark.slow
def test_a_missing_lake_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CellExecutionError, match=r"no lake at .*nothing"):
        execute(tmp_path, str(tmp_path / "nothing"), monkeypatch)


@pytest.mark.slow
def test_a_lake_without_the_pairs_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raw").mkdir()
    for file in write_sample(SamplePlan(("BTCUSD",), days=5, start=dt.date(2018, 11, 25), seed=7)):
        (tmp_path / "raw" / file.name).write_bytes(file.content)
    run_lake(tmp_path / "raw", tmp_path / "lake")
    with pytest.raises(CellExecutionError, match="ETHUSD, LTCUSD, linear, tree at 30 minutes: not in this lake"):
        execute(tmp_path, str(tmp_path / "lake"), monkeypatch)
