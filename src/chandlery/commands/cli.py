"""The entry point of the command line: the list of commands, and the reporting of errors."""

import gc
import io
import os
import sys
import traceback
from typing import Annotated

import typer

from chandlery.commands import read_commands, run_commands, trial_commands
from chandlery.errors import ChandleryError
from chandlery.errors.masking import mask
from chandlery.machine.streams import open_closed_streams

__all__ = ["app", "main"]

INTERRUPTED = 130  # the exit code of a program that SIGINT ended, by convention
# Allocations before garbage is collected. With Python's default, a short command spends a tenth of its time looking for
# garbage among imported objects, which stay.
COLLECT_AFTER = 100_000

COMMANDS = (
    run_commands.run,
    run_commands.ingest,
    run_commands.forecast,
    run_commands.plan,
    run_commands.check,
    read_commands.tables,
    read_commands.scores,
    read_commands.query,
    read_commands.explain,
    read_commands.report,
    read_commands.plot,
    trial_commands.compare,
    trial_commands.parity,
    run_commands.submit,
    run_commands.migrate,
    trial_commands.sample,
    trial_commands.init,
)  # in the order of `chandlery --help`

app = typer.Typer(
    name="chandlery",
    help="Raw crypto candles in one bucket, clean tables and scored forecasts in another.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag's value
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - --version alone needs it

        print(version("chandlery"))
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Raw crypto candles in one bucket, clean tables and scored forecasts in another."""


for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line; report an error as one text on stderr and an exit code."""
    # Before NumPy is imported: with several threads, OpenBLAS's sums would depend on the machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(COLLECT_AFTER)
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # print on terminals without Unicode, too
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # Typer exits with this code at Ctrl-C
            print("chandlery: stopped; run again to continue", file=sys.stderr)
        raise
    except ChandleryError as error:
        print(f"chandlery: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - no error may show a credential, as its traceback could
        if os.environ.get("CHANDLERY_TRACEBACK"):
            print(mask(traceback.format_exc()), file=sys.stderr)
        hint = "set CHANDLERY_TRACEBACK=1 to see the traceback, and report it"
        print(f"chandlery: unexpected {type(error).__name__}: {mask(str(error))}. Hint: {hint}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
