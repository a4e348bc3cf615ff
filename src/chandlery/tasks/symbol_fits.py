"""The fits that predict one symbol over the span: the parts common to all symbols, joined with the symbol's own."""

from collections import defaultdict

import numpy as np

from chandlery.errors import StateLostError
from chandlery.extensions import open_models
from chandlery.forecasts.backtest import Fits
from chandlery.lake.store import Store
from chandlery.models import OWN, Model
from chandlery.state.artefacts import Fitted, read_fits
from chandlery.state.copies import open_copies
from chandlery.state.paths import Paths, day_name, parse_day
from chandlery.tasks.fit import list_fit_years, name_fit
from chandlery.tasks.work import Work

__all__ = ["read_symbol_fits"]

Key = tuple[str, int, str]  # model, horizon in minutes, day of the refit


def read_symbol_fits(work: Work, symbol: str) -> list[Fits]:
    """Read the fits that predict a symbol over the span, from the newest one before the span on.

    Args:
        work: The span and the lake.
        symbol: The symbol.

    Returns:
        One entry for each model and horizon; the horizons of a model follow each other.

    Raises:
        StateLostError: An artefact is missing or damaged.
    """
    models = open_models(work.rules.models, work.extensions)
    copies = open_copies(work.lake)
    common: dict[tuple[str, int], list[Fitted]] = defaultdict(list)
    own: dict[Key, Fitted] = {}
    for fit in dict.fromkeys(name_fit(model) for model in models):
        members = [model for model in models if name_fit(model) == fit]
        fits = _read_common(work, fit, members, copies)
        for fitted in fits:
            common[fitted.model, fitted.horizon_minutes].append(fitted)
        own |= _read_own(work, fit, symbol, fits)
    return [
        _join(model, place, common[model.name, minutes], own)
        for model in models
        for place, minutes in enumerate(work.rules.horizons)
    ]


def _join(model: Model, horizon: int, common: list[Fitted], own: dict[Key, Fitted]) -> Fits:
    """Return the fits of one model and horizon in the order of time, each with the symbol's own part if it has one."""
    fits = sorted(common, key=lambda fitted: fitted.refit_at)
    parts = [own.get(key_of(fitted)) for fitted in fits]
    artefacts = [
        fitted.fit if part is None else fitted.fit | {OWN: part.fit} for fitted, part in zip(fits, parts, strict=True)
    ]
    refit_ms = np.array([fitted.refit_at for fitted in fits], "datetime64[ms]").astype(np.int64)
    sources = [None if part is None else (part.refit_at, *part.symbols) for part in parts]
    return Fits(model, horizon, refit_ms, artefacts, sources)


def _read_common(work: Work, fit: str, models: list[Model], copies: Store | None) -> list[Fitted]:
    """Read the common parts, from the newest year backwards until every model has a fit from before the span."""
    span, names = work.span, {model.name for model in models}
    since = day_name(span.since) if span.resumed else ""
    found: list[Fitted] = []
    for year in sorted(list_fit_years(work, models), reverse=True):
        found += read_fits(work.lake, fit, str(year), copies=copies)
        early = {fitted.model for fitted in found if fitted.refit_at <= since}
        if early.issuperset(names):
            break
    # An artefact also has the fits of horizons that this run does not compute.
    return [fitted for fitted in found if fitted.model in names and fitted.horizon_minutes in work.rules.horizons]


def _read_own(work: Work, fit: str, symbol: str, common: list[Fitted]) -> dict[Key, Fitted]:
    """Read the symbol's own parts of some fits.

    Raises:
        StateLostError: A part that a common part names is missing.
    """
    wanted = {key_of(fitted) for fitted in common if symbol in fitted.own}
    years = sorted({refit_at[:4] for _, _, refit_at in wanted})
    texts = work.lake.store.ask_ahead(lambda year: read_fits(work.lake, fit, year, symbol), years)
    found = {key_of(fitted): fitted for text in texts for fitted in text}
    if missing := wanted.difference(found):
        year = min(refit_at for _, _, refit_at in missing)[:4]
        raise StateLostError(Paths.of(work.lake).artefact(fit, year, symbol), parse_day(year) - 1)
    return found


def key_of(fitted: Fitted) -> Key:
    """Return the model, horizon and refit of a fit: what its common part and its own parts have in common."""
    return fitted.model, fitted.horizon_minutes, fitted.refit_at
