"""The modules are well formed, hold what they promise without an account, and declare the tables that chandlery
writes.
"""

import json
import re
from pathlib import Path

import pytest
from terraform_runs import TREE, Terraform

from chandlery.schema import TABLES

CATALOGUE = json.loads((TREE / "modules" / "catalog" / "tables.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_files_are_formatted(terraform: Terraform) -> None:
    done = terraform.run("fmt", "-check", "-recursive", "-diff", str(TREE), check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_example_is_valid(terraform: Terraform) -> None:
    assert json.loads(terraform.run("validate", "-json").stdout)["diagnostics"] == []


@pytest.mark.slow
def test_modules_hold_what_they_promise(terraform: Terraform) -> None:
    done = terraform.run("test", "-no-color")
    passed = re.search(r"Success! (\d+) passed, 0 failed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) == sum(
        file.read_text().count('\nrun "') for file in terraform.example.glob("tests/*.tftest.hcl")
    )


@pytest.mark.parametrize("table", TABLES)
def test_the_catalogue_declares_every_column(table: str) -> None:
    declared, schema = CATALOGUE[table], TABLES[table].schema
    assert [key["name"] for key in declared["partitions"]] == list(TABLES[table].partitions)
    names = [column["name"] for column in declared["columns"]]
    assert set(schema.columns()) == {name for name in names if name in schema.columns()} | set(TABLES[table].partitions)
    assert all(name.startswith("predicted_") for name in set(names) - set(schema.columns()))
    assert len(names) == len(set(names))


def test_the_catalogue_fits_into_glue() -> None:
    columns = [column for table in CATALOGUE.values() for column in (*table["columns"], *table["partitions"])]
    assert columns
    assert all(0 < len(column["comment"]) <= 255 for column in columns)
    assert all(re.fullmatch("[a-z0-9_]+", column["name"]) for column in columns)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(TREE.rglob("*")) if path.suffix in {".tf", ".hcl"}],
    ids=lambda path: str(path.relative_to(TREE)),
)
def test_no_account_key_or_address_is_written_down(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b\d{12}\b|AKIA|https?://|-----BEGIN", text)


def test_every_variable_and_output_says_what_it_is_for() -> None:
    for path in TREE.rglob("*.tf"):
        for block in re.findall(r'^(?:variable|output) "\w+" \{\n.*?^\}', path.read_text(), re.MULTILINE | re.DOTALL):
            assert "\n  description = " in block or "\n  description  = " in block, f"{path}: {block.splitlines()[0]}"


def test_the_readme_names_every_module_and_variable_without_a_default() -> None:
    readme = (TREE / "README.md").read_text(encoding="utf-8")
    for module in sorted((TREE / "modules").iterdir()):
        assert f"`{module.name}`" in readme
    variables = re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}',
        (TREE / "examples" / "daily" / "variables.tf").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    needed = [name for name, body in variables if "\n  default" not in body]
    assert needed
    assert all(f"{name} " in readme for name in needed)
