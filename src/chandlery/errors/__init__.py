"""Everything that chandlery raises on purpose.

ChandleryError                 what was found, what was expected, what to do
├── TerminalError              running again changes nothing until somebody acts
│   ├── SettingsError          exit 2: a setting, a credential, a bucket or a right is missing
│   ├── SourceError            exit 3: an input file was refused; the others went on
│   └── LawError               exit 4: a law was broken; nothing more was published
└── TransientError             worth running again as it is
    ├── StoreUnavailableError  exit 5: time-outs, 429, 5xx, a full disk
    │   └── StateLostError     something that runs remember is missing or damaged; a run resumes from earlier
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
    "gravest",
]

GRAVITY = (1, 4, 2, 3, 5, 6)


class ChandleryError(Exception):
    """An error that a person can act on; its texts pass the one function that takes credentials out.

    Args:
        found: What was met, with names and numbers.
        expected: What would have been right; empty where that is plain from `found`.
        hint: What to do about it.

    Example:
        >>> print(SettingsError("horizon '7x'", "a number and a unit", "write 30m or 2h"))
        horizon '7x'; expected a number and a unit. Hint: write 30m or 2h
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, found: str, expected: str = "", hint: str = "") -> None:
        found, expected, hint = mask(found), mask(expected), mask(hint)
        super().__init__(found, expected, hint)  # the arguments make it picklable between workers
        self.found, self.expected, self.hint = found, expected, hint

    def __str__(self) -> str:
        text = self.found
        if self.expected:
            text += f"; expected {self.expected}"
        if self.hint:
            text += f". Hint: {self.hint}"
        return text


class TerminalError(ChandleryError):
    """Running again changes nothing until somebody acts."""


class SettingsError(TerminalError):
    """A setting, a credential, a bucket or a right is missing or wrong."""

    exit_code = 2


class SourceError(TerminalError):
    """An input file cannot be read as candles."""

    exit_code = 3


class LawError(TerminalError):
    """A law was broken: rows unaccounted for, or knowledge of the future."""

    exit_code = 4


class TransientError(ChandleryError):
    """Worth running again as it is."""

    exit_code = 5


class StoreUnavailableError(TransientError):
    """The object store did not answer, refused for load, or has no room left."""


class StateLostError(StoreUnavailableError):
    """Something that runs remember is missing or damaged.

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
    """Another run holds the lake."""

    exit_code = 6


def gravest(codes: list[int]) -> int:
    """Return the exit code that outweighs the others: 1, 4, 2, 3, 5, 6; 0 where there is none.

    Example:
        >>> gravest([0, 3, 2])
        2
    """
    met = [code for code in GRAVITY if code in codes]
    return met[0] if met else 0
