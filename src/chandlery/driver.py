"""What runs in the driver's container: a command with the settings of the job, and an exit code that is left in the bucket."""

import json
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from chandlery import cli
from chandlery.storage import Store
from chandlery.submit.job import EXIT_CODE, JOB, LAST_LINE, Job

__all__ = ["main"]


def main() -> None:
    """Carry out the job whose folder, and how it is reached, are told; leave the exit code there."""
    folder, options = sys.argv[1:3]
    store = Store(folder, json.loads(options))
    job = msgspec.json.decode(store.get(JOB) or b"", type=Job)
    code = 1
    try:
        with tempfile.TemporaryDirectory(prefix="chandlery-job-") as place:
            code = carry_out(job, Path(place))
    finally:
        store.put(EXIT_CODE, str(code).encode())
        sys.stdout.flush()
        print(LAST_LINE, file=sys.stderr, flush=True)
    sys.exit(code)


def carry_out(job: Job, place: Path) -> int:
    """Run a job's command, with files of one's own in a folder; return its exit code."""
    for name, text in job.extensions.items():
        (place / name).write_bytes(text)
    for section, values in job.settings.items():
        os.environ[f"CHANDLERY_{section.upper()}"] = json.dumps(values)
    if job.extensions:
        os.environ["CHANDLERY_FORECAST__EXTENSIONS"] = json.dumps([str(place / name) for name in job.extensions])
    os.chdir(place)  # where no chandlery.toml lies
    sys.argv = ["chandlery", *job.command]
    try:
        cli.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
