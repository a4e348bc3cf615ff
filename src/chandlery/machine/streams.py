"""The standard streams of a process that was started without some of them, such as by cron or a daemon."""

import os
import sys
from pathlib import Path

__all__ = ["open_closed_streams"]


def open_closed_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    Otherwise the next file that is opened gets the descriptor of a closed stream, and what a library writes to the
    stream goes into that file.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened == descriptor:
                os.set_inheritable(descriptor, True)  # processes of this one have the stream as well
            else:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w" if descriptor else "r", encoding="utf-8"))  # noqa: SIM115 - it stays
