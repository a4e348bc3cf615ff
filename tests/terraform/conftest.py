"""Terraform, and the example applied to moto, once for the session."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))

from cloud import Cloud, apply_example, enforced
from moto_aws import Session, moto_server
from terraform_runs import NoTerraformError, Terraform, prepare


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    try:
        return prepare(tmp_path_factory.mktemp("terraform"), {})
    except NoTerraformError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with moto_server(folder) as endpoint:
        try:
            yield apply_example(folder, endpoint)
        except NoTerraformError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def sessions(cloud: Cloud) -> Iterator[dict[str, Session]]:
    with enforced(cloud) as found:
        yield found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("deploy")
