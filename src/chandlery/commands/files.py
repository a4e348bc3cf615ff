"""The files that the commands `sample` and `init` write."""

from pathlib import Path

import polars as pl

from chandlery.commands.printing import print_json, print_table
from chandlery.errors import SettingsError
from chandlery.lake.tables import encode
from chandlery.settings.template import render_settings
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample

__all__ = ["write_sample_files", "write_settings_file"]


def write_sample_files(folder: Path, plan: tuple[int, int, float, int], *, as_json: bool) -> None:
    """Write sample files and print the faults in them.

    Args:
        folder: The folder to write to.
        plan: Numbers of symbols and days, the share of faulty rows, and the seed.
        as_json: Print JSON.

    Raises:
        SettingsError: The folder cannot be created or written.
    """
    symbols, days, faults, seed = plan
    made = SamplePlan(SAMPLE_SYMBOLS[:symbols], days, form="in turn", fault_share=faults, seed=seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be created: {error.strerror}", "a folder to write to", "name another"
        ) from None
    truths = []
    try:
        for file in write_sample(made):
            (folder / file.name).write_bytes(file.content)
            truths.append(file.truth)
        truth = pl.concat(truths)
        if content := encode([truth]):
            (folder / "_truth.parquet").write_bytes(content)
    except OSError as error:
        found = f"{folder} cannot be written: {error.strerror}"
        raise SettingsError(found, "a folder to write to", "name another") from None
    counts = truth.explode("reasons").group_by("reasons").len().sort("reasons").to_dicts() if truth.height else []
    if as_json:
        print_json({"folder": str(folder), "planted": counts})
        return
    print(f"wrote sample candles to {folder}")
    if counts:
        print_table(counts, title="faults in them")


def write_settings_file(path: Path, *, as_json: bool) -> None:
    """Write a settings file with every setting as a comment.

    Raises:
        SettingsError: The file already exists, or cannot be written.
    """
    if path.exists():
        raise SettingsError(f"{path} already exists", "a new file", "name another with --path, or edit it")
    try:
        path.write_text(render_settings(), encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}",
            "a file in a folder that exists",
            "name another with --path",
        ) from None
    if as_json:
        print_json({"path": str(path)})
    else:
        print(f"wrote {path}")
