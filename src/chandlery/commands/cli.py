"""The entry point of the command line: the list of commands, and the reporting of errors."""

import gc
import inspect
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import typer

from chandlery.commands import read_commands, run_commands, trial_commands
from chandlery.errors import ChandleryError
from chandlery.errors.masking import mask
from chandlery.machine.signals import stops_at_signals
from chandlery.machine.streams import open_closed_streams

__all__ = ["app", "main"]

DEBUG = "--debug"
Debug = Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")]
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

EXIT_CODES = """Exit codes: 0 success; 1 unexpected error; 2 wrong settings, or no credentials, bucket or permission;
3 some input was refused, everything else was processed; 4 a check of the results failed; 5 a store did not answer, a
later run may succeed; 6 another run holds the lake; 129, 130 or 143 stopped by SIGHUP, Ctrl-C or SIGTERM."""


app = typer.Typer(
    name="chandlery",
    epilog=" ".join(EXIT_CODES.split()),
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
    debug: Debug = False,
) -> None:
    """Raw crypto candles in one bucket, clean tables and scored forecasts in another."""


def _with_debug(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that takes --debug as well, which may stand before or after the name of a command."""

    @wraps(command)
    def call(*, debug: bool = False, **given: Any) -> None:
        del debug  # `_reports_errors` looks for it, also when the command line cannot be understood
        command(**given)

    signature = inspect.signature(command)
    option = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    call.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    call.__annotations__ = {**command.__annotations__, "debug": Debug}
    return call


for command in COMMANDS:
    app.command()(_with_debug(command))


def main() -> None:
    """Run the command line; report an error as one text on stderr and an exit code."""
    # Before NumPy is imported: with several threads, OpenBLAS's sums would depend on the machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(COLLECT_AFTER)
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # print on terminals without Unicode, too
    with _reports_errors(), stops_at_signals():
        app(standalone_mode=True)


@contextmanager
def _reports_errors() -> Iterator[None]:
    """Report an error of the block as one text on stderr, and exit with its code; with --debug, with its traceback."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - no error may show a credential; a panic of Rust is no Exception
        if DEBUG in sys.argv[1:]:
            print(mask(traceback.format_exc()), file=sys.stderr)
        if isinstance(error, ChandleryError):
            print(f"chandlery: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        hint = f"run it again with {DEBUG} to see the traceback, and report it"
        print(f"chandlery: unexpected {type(error).__name__}: {mask(str(error))}. Hint: {hint}", file=sys.stderr)
        sys.exit(1)
