"""What the leak gate of a task reports to the driver, which publishes nothing unless every report is complete."""

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["GateReport"]


@dataclass(frozen=True)
class GateReport:
    """How many blocks of a symbol the checks of a task have compared. A task that finds a leak raises instead.

    Args:
        symbol: The symbol.
        chosen: How many blocks were chosen to be checked.
        checked: How many of them went through every check of the task.
    """

    symbol: str
    chosen: int
    checked: int

    @classmethod
    def of(cls, symbol: str, chosen: Collection[int], *checked: Collection[int]) -> "GateReport":
        """Return the report of a task.

        Args:
            symbol: The symbol.
            chosen: The first steps of the blocks that were chosen.
            checked: For each check of the task, the first steps of the blocks that went through it.
        """
        return cls(symbol, len(chosen), len(set(chosen).intersection(*checked)))
