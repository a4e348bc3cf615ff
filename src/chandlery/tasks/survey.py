"""The survey task: the parts of files whose rows tell to which series they belong."""

from dataclasses import dataclass

from chandlery.errors import SourceError
from chandlery.lake.store import Store
from chandlery.settings.model import ReadingSettings
from chandlery.sources.failures import explain_failure
from chandlery.sources.grids import Seen
from chandlery.sources.parts import Part
from chandlery.sources.raw_files import RawFile
from chandlery.sources.surveys import peek_parts, survey_head, survey_parts

__all__ = ["SurveyTask", "Surveyed", "survey_files"]


@dataclass(frozen=True)
class SurveyTask:
    """Files whose rows may tell to which series they belong.

    Args:
        source: The store of the files.
        settings: How to read them.
        files: The files.
        only_heads: Whether only the first rows of each file are looked at, as before a run.
    """

    source: Store
    settings: ReadingSettings
    files: tuple[RawFile, ...]
    only_heads: bool = False

    def __str__(self) -> str:
        return self.files[0].source


@dataclass(frozen=True)
class Surveyed:
    """What the rows of a file tell.

    Args:
        source: The file.
        parts: Its parts, each with what tells its interval; empty where its rows tell no series.
        error: Why it cannot be read, or not be divided; None if it can, or if its rows tell no series.
    """

    source: str
    parts: dict[Part, Seen]
    error: SourceError | None = None


def survey_files(task: SurveyTask) -> list[Surveyed]:
    """Find the parts of files: each is read whole, or its first rows, if its first rows show that it has some."""
    return list(task.source.ask_ahead(lambda file: survey_file(task, file), task.files))


def survey_file(task: SurveyTask, file: RawFile) -> Surveyed:
    """Return what the rows of a file tell."""
    find_parts = survey_head if task.only_heads else survey_parts
    try:
        with task.source.open(file.path, file.size_bytes) as stream:
            if peek_parts(stream, file, task.settings) is not None:
                return Surveyed(file.source, {})
        with task.source.open(file.path, file.size_bytes) as stream:
            return Surveyed(file.source, find_parts(stream, file, task.settings))
    except Exception as error:  # noqa: BLE001 - a file that breaks a parser must not stop the others
        return Surveyed(file.source, {}, explain_failure(file, error))
