"""What runs in the driver's container: a command with the settings of the job, and an exit code that is left in the bucket."""

import json
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from chandlery.commands import cli
from chandlery.errors import SettingsError
from chandlery.extensions import Bundle
from chandlery.lake.store import Store
from chandlery.submit.job import EXIT_CODE, JOB, LAST_LINE, Job

__all__ = ["main"]


def main() -> None:
    """Carry out the job whose folder, and how it is reached, are told; leave the exit code there."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - with the program's own name
        sys.exit("usage: python -m chandlery.commands.driver FOLDER STORAGE_OPTIONS; `chandlery submit` calls it so")
    store = Store(sys.argv[1], json.loads(sys.argv[2]))
    code = 1
    try:
        content = store.get(JOB)
        if content is None:
            code = SettingsError.exit_code
            sys.exit(
                f"chandlery: no {JOB} at {store.uri}; expected what `chandlery submit` puts there. Hint: submit again"
            )
        job = msgspec.json.decode(content, type=Job)
        with tempfile.TemporaryDirectory(prefix="chandlery-job-") as place:
            code = carry_out(job, Path(place))
    finally:
        store.put(EXIT_CODE, str(code).encode())
        sys.stdout.flush()
        print(LAST_LINE, file=sys.stderr, flush=True)
    sys.exit(code)


def carry_out(job: Job, place: Path) -> int:
    """Run a job's command, with files of one's own in a folder; return its exit code."""
    extensions = [write_bundle(bundle, place / f"extension-{number}") for number, bundle in enumerate(job.extensions)]
    for section, values in job.settings.items():
        os.environ[f"CHANDLERY_{section.upper()}"] = json.dumps(values)
    if extensions:
        os.environ["CHANDLERY_FORECAST__EXTENSIONS"] = json.dumps(extensions)
    os.chdir(place)  # where no chandlery.toml lies
    sys.argv = ["chandlery", *job.command]
    try:
        cli.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def write_bundle(bundle: Bundle, folder: Path) -> str:
    """Write an extension and the modules beside it into a folder; return the path of the extension."""
    for inner, text in bundle.items():
        path = folder / inner
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return str(folder / next(iter(bundle)))
