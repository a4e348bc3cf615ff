"""A lake of two symbols with a run behind it: each test gets a copy."""

from pathlib import Path

import pytest
from hours import Lake, start_lake


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of two symbols; no test changes it."""
    return start_lake(tmp_path_factory.mktemp("first"))


@pytest.fixture
def lake(first: Lake, tmp_path: Path) -> Lake:
    return first.copy(tmp_path)
