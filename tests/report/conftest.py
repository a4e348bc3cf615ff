"""Lakes with everything that a report shows, and lakes with less."""

import datetime as dt
from pathlib import Path

import pytest
from lakes import run_lake
from pages import settings_of, write_hostile

from chandlery.report import write_report
from chandlery.runs.pipeline import ingest
from chandlery.settings.model import load_settings
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake with faults, gaps, a refused file with a hostile name, forecasts and scores."""
    folder = tmp_path_factory.mktemp("report")
    write_hostile(folder / "raw")
    for file in write_sample(
        SamplePlan(SAMPLE_SYMBOLS[:2], days=55, start=dt.date(2018, 12, 15), fault_share=0.02, seed=5)
    ):
        (folder / "raw" / file.name).write_bytes(file.content)
    run_lake(folder / "raw", folder / "lake")
    return folder / "lake"


@pytest.fixture(scope="session")
def page(lake: Path) -> Path:
    write_report(settings_of(lake), lake.parent / "report.html")
    return lake.parent / "report.html"


@pytest.fixture(scope="session")
def young_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake with candles and no forecasts."""
    folder = tmp_path_factory.mktemp("young")
    (folder / "raw").mkdir()
    for file in write_sample(SamplePlan(SAMPLE_SYMBOLS[:1], days=2, seed=5)):
        (folder / "raw" / file.name).write_bytes(file.content)
    ingest(
        load_settings(
            None,
            {"source": {"uri": str(folder / "raw")}, "lake": {"uri": str(folder / "lake")}, "engine": {"workers": 1}},
        )
    )
    return folder / "lake"


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake whose only file was refused."""
    folder = tmp_path_factory.mktemp("empty")
    write_hostile(folder / "raw")
    run_lake(folder / "raw", folder / "lake")
    return folder / "lake"
