"""The result of a query, written in one of the formats of `chandlery query`."""

import os
import sys
import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import PurePath
from typing import IO

import polars as pl
import pyarrow as pa
import pyarrow.ipc

from chandlery.commands.options import Format
from chandlery.commands.printing import MOST_ROWS, render_table
from chandlery.errors import SettingsError
from chandlery.lake.output import Output, explain_unwritten
from chandlery.lake.query import ARROW, PARQUET, Answer, ask
from chandlery.lake.tables import write_pieces
from chandlery.settings.model import Settings

__all__ = ["choose_format", "write_result"]

IN_MEMORY = 64 * 1024 * 1024  # bytes of a result for the terminal; a longer one waits in a temporary file

BINARY = {Format.PARQUET, Format.ARROW}
ENDINGS = {".json": Format.JSON, ".csv": Format.CSV, ".parquet": Format.PARQUET, ".arrow": Format.ARROW}


def choose_format(named: Format | None, output: str, *, as_json: bool) -> Format:
    """Return the format of a result: the named one, or else that of the output's name.

    Raises:
        SettingsError: Two formats were named.
    """
    if as_json and named not in {None, Format.JSON}:
        raise SettingsError(f"--json and --format {named}", "one format", "leave one of them out")
    return Format.JSON if as_json else named or ENDINGS.get(PurePath(output).suffix.lower(), Format.TABLE)


def write_result(settings: Settings, sql: str, form: Format, output: str) -> None:
    """Write the result of a SELECT. Nothing is written unless all of it can be.

    Args:
        settings: The settings of the lake.
        sql: The statement.
        form: The format.
        output: A file or an object; "" and "-" for the standard output.

    Raises:
        SettingsError: The statement or the output is wrong, or the format cannot hold a value.
        StoreUnavailableError: The store did not answer, or there is no space for the result.
    """
    write = WRITERS[form]
    if output not in {"", "-"}:
        destination = Output(output, settings.lake_storage, f"result.{form}")

        def put(answer: Answer) -> None:
            with destination.open() as file:
                write(answer, file)

        ask(settings.lake.uri, sql, settings.lake_storage, put)
        return
    if form in BINARY and sys.stdout.isatty():
        raise SettingsError(f"--format {form} on a terminal", "a file", f"add --output result.{form}, or a pipe")

    def spool(answer: Answer) -> IO[bytes]:
        file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed below
        write(answer, file)
        return file

    with ask(settings.lake.uri, sql, settings.lake_storage, spool) as result:
        _print(result)


def _print(result: IO[bytes]) -> None:
    """Copy a result to the standard output."""
    result.seek(0)
    sys.stdout.flush()
    try:
        while chunk := result.read(1024 * 1024):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # its reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise explain_unwritten("the standard output", error) from None


def _write_table(answer: Answer, file: IO[bytes]) -> None:
    shown: list[dict[str, str]] = []
    height = 0
    for batch in answer.read_text():
        shown += batch[: MOST_ROWS - len(shown)].to_pylist()
        height += batch.num_rows
    text = render_table(shown) if shown else f"no rows; the columns are {', '.join(answer.names)}\n"
    if height > MOST_ROWS:
        text += f"… and {height - MOST_ROWS:,} more rows; --format csv or --json prints all of them\n"
    file.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def _write_json(answer: Answer, file: IO[bytes]) -> None:
    between = "[\n  "
    for batch in answer.read_json():
        for row in batch.column(0).to_pylist():
            file.write(f"{between}{row}".encode())
            between = ",\n  "
    file.write(b"[]\n" if between.startswith("[") else b"\n]\n")


def _write_csv(answer: Answer, file: IO[bytes]) -> None:
    rows = answer.read_text()
    frames = chain([rows.schema.empty_table()], (pa.table(batch) for batch in rows))
    for number, piece in enumerate(frames):  # not written by Polars, whose errors lack the cause
        file.write(pl.DataFrame(piece).write_csv(include_header=number == 0).encode())


def _write_parquet(answer: Answer, file: IO[bytes]) -> None:
    rows = answer.read_arrow(PARQUET)
    write_pieces(file, rows.schema, (pa.Table.from_batches([batch]) for batch in rows))


def _write_arrow(answer: Answer, file: IO[bytes]) -> None:
    rows = answer.read_arrow(ARROW)
    with pa.ipc.new_file(file, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)


WRITERS: dict[Format, Callable[[Answer, IO[bytes]], None]] = {
    Format.TABLE: _write_table,
    Format.JSON: _write_json,
    Format.CSV: _write_csv,
    Format.PARQUET: _write_parquet,
    Format.ARROW: _write_arrow,
}
