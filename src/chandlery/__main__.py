"""The program `chandlery`, also run by `python -m chandlery`.

It listens to signals before the command line is imported, which takes longer than everything else here.
"""

import signal

from chandlery.machine.signals import stops_at_signals

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        with stops_at_signals():
            from chandlery.commands.cli import main as call  # noqa: PLC0415 - see above

            call()
    finally:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is held: the interpreter ends without a traceback


if __name__ == "__main__":
    main()
