"""The objects in the folder of a job, which `submit` and the driver share."""

import msgspec

__all__ = ["EXIT_CODE", "JOB", "LAST_LINE", "Job"]

JOB = "job.json"  # the command and its settings
EXIT_CODE = "exit_code"  # the exit code of the command
# The driver's last line on stderr, which is not shown. AWS delivers lines late: `submit` waits until this one arrives.
LAST_LINE = "chandlery: end of the log"


class Job(msgspec.Struct, frozen=True):
    """A command and what it needs.

    Args:
        command: The words of the command line.
        settings: The settings that were given, by section.
        extensions: The texts of each extension that the settings name, as in `Bundle.texts`, by the path that they
            name: the driver's machine has no files there.
    """

    command: list[str]
    settings: dict[str, object]
    extensions: dict[str, dict[str, bytes]]
