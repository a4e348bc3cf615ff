"""Parts of the settings that match nothing: `[[series]]` sections, layouts, and models that the lake does not use."""

from collections.abc import Collection, Iterable

from chandlery.extensions import model_names
from chandlery.models import BUILT_IN
from chandlery.runs.session import Session
from chandlery.runs.survey import Source
from chandlery.settings.model import ReadingSettings, Settings
from chandlery.sources.symbols import list_layouts

__all__ = [
    "list_paths",
    "name_unmatched_layouts",
    "name_unmatched_sections",
    "report_unmatched_layouts",
    "report_unmatched_models",
    "report_unmatched_sections",
]


def report_unmatched_sections(session: Session) -> None:
    """Report each `[[series]]` section whose series the lake does not have."""
    for note in name_unmatched_sections(session.settings, session.series):
        session.note(note)


def report_unmatched_layouts(session: Session, source: Source) -> None:
    """Report each layout that applies to no file, unless the run ingests some symbols alone, and so not all files."""
    if session.only:
        return
    for note in name_unmatched_layouts(session.settings.source, list_paths(source)):
        session.note(note)


def report_unmatched_models(session: Session) -> None:
    """Report for each series a user-defined model that is registered and is not one of its models."""
    for run in session.series.values():
        models = run.series.models
        others = [name for name in model_names(run.extensions) if name not in {*BUILT_IN, *models}]
        if others:
            found = f"model {others[0]!r} is registered, but the models of this lake are {', '.join(models)}"
            run.note(f"{found}. Hint: add it to [forecast] models")


def list_paths(source: Source) -> list[str]:
    """Return the paths of all files of a source, as the patterns of layouts are matched against."""
    return [raw.source for raws in (*source.files.values(), source.nameless) for raw in raws]


def name_unmatched_sections(settings: Settings, known: Collection[str]) -> list[str]:
    """Return a sentence for each `[[series]]` section whose series is not known.

    Args:
        settings: The settings of the run.
        known: Names of the series that the lake has, or will have.
    """
    names = [section.name for section in settings.series if section.name not in known]
    existing = f"the series are {', '.join(known)}" if known else "there is no series yet"
    hint = "Hint: check its exchange and interval; it applies once there are files of the series"
    return [f"the [[series]] section of {name} matches no series: {existing}. {hint}" for name in names]


def name_unmatched_layouts(settings: ReadingSettings, paths: Iterable[str]) -> list[str]:
    """Return a sentence for each layout that decides nothing for any file.

    Its pattern matches none, or earlier layouts have all of its settings for the files that it matches.

    Args:
        settings: The settings of the source, with the layouts.
        paths: Paths of the files below the source; `archive.zip!member` for a member of an archive.
    """
    unmatched = dict(enumerate(settings.layout))
    for path in paths if unmatched else ():
        decided = {"files"}
        for layout in list_layouts(path, settings):
            if not layout.model_fields_set <= decided or layout.model_fields_set <= {"files"}:
                unmatched = {place: each for place, each in unmatched.items() if each is not layout}
            decided |= layout.model_fields_set
        if not unmatched:
            break
    hint = "Hint: a pattern is matched against the path below the source and the file name"
    hint = f"{hint}; of several layouts that match a file, the first that has a setting decides it"
    patterns = [layout.files for layout in unmatched.values()]
    return [f'the [[source.layout]] with files = "{pattern}" applies to no file. {hint}' for pattern in patterns]
