"""What a job finds in its folder of the bucket."""

import msgspec

__all__ = ["EXIT_CODE", "JOB", "LAST_LINE", "Job"]

JOB = "job.json"  # what is to be done
EXIT_CODE = "exit_code"  # how it ended
LAST_LINE = "chandlery: end of the log"  # on stderr, and not shown: what AWS brings late is waited for until it comes


class Job(msgspec.Struct, frozen=True):
    """A command and what it needs.

    Args:
        command: As on the command line.
        settings: By section, as they were given.
        extensions: Of each extension that the settings name, its text and those of the modules beside it, by path.
    """

    command: list[str]
    settings: dict[str, object]
    extensions: list[dict[str, bytes]]
