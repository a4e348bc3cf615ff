"""The program of the driver's container on EMR Serverless: runs the submitted command and stores its exit code."""

import json
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from chandlery.commands import cli
from chandlery.errors import SettingsError
from chandlery.extensions import Bundle, supplied
from chandlery.lake.store import Store
from chandlery.submit.job import EXIT_CODE, JOB, LAST_LINE, Job

__all__ = ["main"]


def main() -> None:
    """Run the submitted job and store its exit code in the job's folder."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - the name of the program and two arguments
        sys.exit("usage: python -m chandlery.commands.driver FOLDER STORAGE_OPTIONS, as `chandlery submit` calls it")
    store = Store(sys.argv[1], json.loads(sys.argv[2]))
    code = 1
    try:
        content = store.get(JOB)
        if content is None:
            code = SettingsError.exit_code
            sys.exit(f"chandlery: no {JOB} at {store.uri}; expected the file of `chandlery submit`. Hint: submit again")
        job = msgspec.json.decode(content, type=Job)
        with tempfile.TemporaryDirectory(prefix="chandlery-job-") as place:
            code = carry_out(job, Path(place))
    finally:
        store.put(EXIT_CODE, str(code).encode())
        sys.stdout.flush()
        print(LAST_LINE, file=sys.stderr, flush=True)
    sys.exit(code)


def carry_out(job: Job, place: Path) -> int:
    """Run the command of a job in the folder `place`, with its extensions; return the exit code."""
    for section, values in job.settings.items():
        os.environ[f"CHANDLERY_{section.upper()}"] = json.dumps(values)
    os.chdir(place)  # so that no chandlery.toml is read
    sys.argv = ["chandlery", *job.command]
    try:
        with supplied(Bundle(path, texts) for path, texts in job.extensions.items()):
            cli.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
