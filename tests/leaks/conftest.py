"""What the leak tests share."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from chandlery.extensions import loaded_afresh
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three symbols over 45 days with two refits in them: at the first of February and of March."""
    folder = tmp_path_factory.mktemp("raw")
    for file in write_sample(SamplePlan(SAMPLE_SYMBOLS[:3], days=45, start=dt.date(2019, 1, 20), seed=3)):
        (folder / file.name).write_bytes(file.content)
    return folder


@pytest.fixture(autouse=True)
def _forget_extensions() -> Iterator[None]:
    """Let no test see what another one's extensions registered."""
    with loaded_afresh():
        yield
