"""Functions that tests run on engines: other processes can import them."""

import os
import signal
import sys

from threadpoolctl import threadpool_info

from chandlery.errors import LawError, SourceError


class OddError(Exception):
    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"{number} is {why}")


def double(number: int) -> int:
    return 2 * number


def refuse_odd(number: int) -> int:
    if number == 3:
        raise LawError("three")
    if number % 2:
        raise SourceError(f"{number} is odd")
    return number


def divide(number: int) -> float:
    return 1 / number


def break_down(number: int) -> int:
    raise OddError(number, "odd")


def leave(number: int) -> int:
    if number == 2:
        sys.exit("no licence")
    return number


def end_process(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def stop_worker(parent: int) -> int:
    """Stop this process if it is no worker's caller: it is there, and does nothing any more."""
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGSTOP)
    return parent


def print_both(number: int) -> int:
    os.write(1, b"to stdout")
    os.write(2, b"to stderr")
    return number


def wait_for_a_signal(_: int) -> None:
    print(os.getpid(), file=sys.stderr, flush=True)
    signal.pause()


def fill_memory(number: int) -> int:
    return len(bytearray(1 << 60)) if number == 2 else number


def count_threads(_: int) -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
