"""Run the golden lake and write its digests to `digests.json`.

Refuses where `judge` finds a fault against what was recorded before: a change of bytes needs a raised version. With
other libraries, with a C library that rounds otherwise, or after a change of the golden lake itself there is nothing to
compare with. Then give --afresh, in a commit that changes nothing in `src`.
"""

import sys

from golden import AFRESH, RECORDED, Found, read_recorded, run_golden, why_not_here, write_recorded
from judging import is_fault, judge


def main(arguments: list[str]) -> int:
    """Record, and return the exit code."""
    if why := why_not_here():
        print(why)
        return 1
    found = run_golden()
    if RECORDED.exists() and AFRESH not in arguments and (faults := find_faults(read_recorded(), found)):
        print("Nothing was recorded.", *faults, sep="\n")
        return 1
    write_recorded(found)
    print(f"recorded in {RECORDED}")
    return 0


def find_faults(recorded: Found, found: Found) -> list[str]:
    """Return why digests may not be recorded; nothing where they may."""
    if why := recorded.why_not_comparable(found):
        return [f"{why}. If that is intended, give {AFRESH}, in a commit that changes nothing in src"]
    findings = judge((recorded.versions, recorded.digests), (found.versions, found.digests))
    return [finding for finding in findings if is_fault(finding)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
