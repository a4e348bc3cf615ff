"""Terraform on this machine, and a copy of deploy/terraform to run it in."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TREE = Path(__file__).parents[2] / "deploy" / "terraform"
PROVIDER = "registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws_v5.*"
PATIENCE_SECONDS = 580


class NoTerraformError(Exception):
    """Terraform or its provider cannot be had here."""


@dataclass(frozen=True)
class Terraform:
    """A copy of the tree in which the example is ready to run.

    Args:
        tree: The copy.
        environment: Beside that of this process.
    """

    tree: Path
    environment: Mapping[str, str]

    @property
    def example(self) -> Path:
        """The root module."""
        return self.tree / "examples" / "daily"

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command in the example.

        Raises:
            AssertionError: It failed; what it said is part of the text.
        """
        environment = {
            **os.environ,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            **self.environment,
        }
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.example,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0 or not check, (
            f"terraform {arguments[0]}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        )
        return done

    def read_outputs(self) -> dict[str, Any]:
        """Return what the last apply put out."""
        return {name: output["value"] for name, output in json.loads(self.run("output", "-json").stdout).items()}


def find_plugins() -> Iterator[Path]:
    """Yield folders that hold the AWS provider: that of TF_PLUGIN_DIR, and those where such folders usually are."""
    if os.environ.get("TF_PLUGIN_DIR"):
        yield Path(os.environ["TF_PLUGIN_DIR"])
    home = Path.home()
    usual = [
        home / ".terraform.d",
        home / ".local/share/terraform",
        Path("/usr/local/share/terraform"),
        Path("/usr/share/terraform"),
        Path("/opt"),
    ]
    for folder in usual:
        for place in (folder, *sorted(folder.glob("*"))):
            if next(place.glob(PROVIDER), None):
                yield place


def prepare(folder: Path, environment: Mapping[str, str], files: Mapping[str, str] | None = None) -> Terraform:
    """Copy the tree and initialise the example in it.

    Args:
        folder: Where the copy goes.
        environment: For every command.
        files: What to write into the example beside what is there.

    Raises:
        NoTerraformError: There is no terraform, or the provider can neither be found nor downloaded.
    """
    if shutil.which("terraform") is None:
        raise NoTerraformError("there is no terraform on the PATH")
    copy = Path(shutil.copytree(TREE, folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")))
    terraform = Terraform(copy, environment)
    for name, text in (files or {}).items():
        (terraform.example / name).write_text(text, encoding="utf-8")
    plugins = next(find_plugins(), None)
    try:
        done = terraform.run(
            "init", "-backend=false", "-no-color", *([f"-plugin-dir={plugins}"] if plugins else []), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NoTerraformError("terraform init did not end: the AWS provider cannot be downloaded here") from error
    if done.returncode:
        raise NoTerraformError(f"terraform init failed: {' '.join(done.stderr.split())[-500:]}")
    return terraform
