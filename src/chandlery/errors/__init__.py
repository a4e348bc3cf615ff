"""All errors that chandlery raises deliberately.

ChandleryError                 what was found, what was expected, what to do
├── TerminalError              running again changes nothing until a person acts
│   ├── SettingsError          exit 2: a setting, a credential, a bucket or a right is missing
│   ├── SourceError            exit 3: an input file was refused; the others were read
│   └── LawError               exit 4: a law was broken; nothing more was published
└── TransientError             running again may succeed
    ├── StoreUnavailableError  exit 5: time-outs, 429, 5xx, a full disk
    │   └── StateLostError     stored state is missing or damaged; a run resumes from an earlier day
    └── LeaseHeldError         exit 6: another run is writing the lake
"""

from typing import ClassVar

from chandlery.errors.masking import mask

__all__ = [
    "ChandleryError",
    "LawError",
    "LeaseHeldError",
    "SettingsError",
    "SourceError",
    "StateLostError",
    "StoreUnavailableError",
    "TerminalError",
    "TransientError",
    "find_exit_code",
    "gravest",
]

INTERRUPTED = 130  # of a program that Ctrl-C ended, by convention

# An unexpected error first, then a broken law: after them the results are in doubt. What a person has to act on comes
# before what another run may solve.
GRAVITY = (1, 4, 2, 3, 5, 6)


class ChandleryError(Exception):
    """An error that a person can act on. Credentials are removed from all of its texts.

    Args:
        found: What was found, with names and numbers.
        expected: What would have been right; empty if `found` makes it clear.
        hint: What to do about it.

    Example:
        >>> print(SettingsError("horizon '7x'", "a number and a unit", "write 30m or 2h"))
        horizon '7x'; expected a number and a unit. Hint: write 30m or 2h
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, found: str, expected: str = "", hint: str = "") -> None:
        found, expected, hint = mask(found), mask(expected), mask(hint)
        super().__init__(found, expected, hint)  # without the arguments it could not be unpickled in another process
        self.found, self.expected, self.hint = found, expected, hint

    def __str__(self) -> str:
        text = self.found
        if self.expected:
            text += f"; expected {self.expected}"
        if self.hint:
            text += f". Hint: {self.hint}"
        return text


class TerminalError(ChandleryError):
    """Running again changes nothing until a person acts."""


class SettingsError(TerminalError):
    """A setting, a credential, a bucket or a right is missing or wrong."""

    exit_code = 2


class SourceError(TerminalError):
    """An input file cannot be read as candles."""

    exit_code = 3


class LawError(TerminalError):
    """A law of the project was broken: rows are not accounted for, or a value depends on the future."""

    exit_code = 4


class TransientError(ChandleryError):
    """Running again may succeed, with nothing changed."""

    exit_code = 5


class StoreUnavailableError(TransientError):
    """The object store did not answer, refused because of load, or is full."""


class StateLostError(StoreUnavailableError):
    """Stored state is missing or damaged.

    Args:
        path: The object.
        day: A run has to resume from the midnight of this UTC day (days since 1970), or from an earlier one.
    """

    def __init__(self, path: str, day: int) -> None:
        super().__init__(f"{path} is missing or damaged", "what an earlier run put there", "run again: it is rebuilt")
        self.path, self.day = path, day

    def __reduce__(self) -> tuple[type["StateLostError"], tuple[str, int]]:
        return type(self), (self.path, self.day)


class LeaseHeldError(TransientError):
    """Another run holds the lease of the lake."""

    exit_code = 6


def gravest(codes: list[int]) -> int:
    """Return the gravest of exit codes, in the order 1, 4, 2, 3, 5, 6; 0 if there is none.

    Example:
        >>> gravest([0, 3, 2])
        2
    """
    met = [code for code in GRAVITY if code in codes]
    return met[0] if met else 0


def find_exit_code(error: BaseException) -> int:
    """Return the exit code of a program that an error ends: that of the error or of the signal, or else 1.

    Example:
        >>> find_exit_code(SettingsError("no lake")), find_exit_code(KeyboardInterrupt()), find_exit_code(KeyError())
        (2, 130, 1)
    """
    return int(getattr(error, "exit_code", INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1))
