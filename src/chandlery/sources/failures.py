"""Why a file could not be read: because of itself, or because of the machine."""

import errno

from chandlery.errors import ChandleryError, SourceError, TransientError
from chandlery.sources.raw_files import RawFile
from chandlery.sources.symbols import refuse_name

__all__ = ["explain_failure"]

# Errors of the machine: another run may succeed, so they say nothing about the file.
OF_THE_MACHINE = {errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO}


def explain_failure(file: RawFile, error: Exception) -> SourceError:
    """Return why a file could not be read, as it is told to the user.

    Args:
        file: The file.
        error: What reading it raised.

    Raises:
        ChandleryError: `error` itself, if it is one that does not concern the file alone.
        TransientError: The machine lacks memory, space or file descriptors.
    """
    if isinstance(error, SourceError):
        return error
    if isinstance(error, ChandleryError):
        raise error
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in OF_THE_MACHINE):
        found = f"{file.source}: this machine has no memory, space or file descriptors left: {error!r}"
        hint = "run again with fewer [engine] workers, or on a larger machine"
        raise TransientError(found, "resources to read the file", hint) from error
    if isinstance(error, FileNotFoundError) and file.source.endswith("/"):
        return refuse_name(file.source.rstrip("/"))
    if isinstance(error, FileNotFoundError):
        found = f"{file.source} was removed during the run, or this machine does not see it"
        hint = "run again; `chandlery check` shows whether all processes see the source"
        return SourceError(found, "a file that stays where every process of the engine sees it", hint)
    found = f"{file.source} cannot be read: {type(error).__name__}: {str(error)[:200]}"
    return SourceError(found, "a file of candles", "check the file, or leave it out with [source] exclude")
