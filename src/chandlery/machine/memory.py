"""How the C library handles freed memory on Linux; on other systems these functions do nothing."""

import ctypes
import sys

__all__ = ["give_back_memory", "keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt, in malloc.h
KEPT_BYTES = 256 * 1024 * 1024  # far more than any array of a block of candles


def keep_freed_memory() -> None:
    """Keep freed pages in this process: mapping new ones for each block's arrays costs a fifth of the run time."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            libc.mallopt(option, KEPT_BYTES)


def give_back_memory() -> None:
    """Return freed pages to the system; useful between two stages whose arrays differ in size."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
