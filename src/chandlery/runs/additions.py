"""Horizons and models that are added to finished forecasts, without computing the others again.

A horizon within the reach changes no training row, and each horizon is fitted, served and scored by itself, so only the
added one is computed. An added model is fitted alone; the rows that it learns from exist already if another model has
learned from samples. All models predict again, because the blend and the served forecast depend on all of them.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from chandlery.extensions import user_features
from chandlery.runs.resuming import forecast_base
from chandlery.runs.session import SeriesRun
from chandlery.state.records import candles_fingerprint
from chandlery.tasks.work import Added, Rules

__all__ = ["Computation", "describe_added", "plan_computations"]


@dataclass(frozen=True)
class Computation:
    """One of the computations that bring forecasts up to date.

    Args:
        rules: The settings that decide the results.
        added: The horizons and models that alone are computed, from the first candle on; None to compute all of them,
            from a checkpoint on.
    """

    rules: Rules
    added: Added | None = None


def plan_computations(run: SeriesRun, rules: Rules) -> list[Computation]:
    """Return the computations that bring the forecasts of a series up to date, in order.

    If horizons or models alone were added since the last finished run, its forecasts are brought up to date first, then
    horizons are added, then models. Otherwise there is one computation.

    Args:
        run: The series.
        rules: The settings that decide results now.
    """
    summary = run.summary
    before = replace(
        rules,
        horizons=tuple(summary.horizons),
        models=tuple(summary.models),
        extensions=tuple(summary.extensions),
    )
    is_known = bool(summary.base) and before != rules and only_adds(run, before, rules)
    if run.session.settings.symbols or not is_known or summary.base != forecast_base(run, before):
        return [Computation(rules)]
    wider = replace(before, horizons=rules.horizons)
    computations = [] if summary.forecast == candles_fingerprint(summary) else [Computation(before)]
    if wider != before:
        added = tuple(minutes for minutes in rules.horizons if minutes not in before.horizons)
        computations.append(Computation(wider, Added(added, before.models)))
    if rules != wider:
        computations.append(Computation(rules, Added(rules.horizons, rules.models[len(before.models) :])))
    return computations


def only_adds(run: SeriesRun, before: Rules, now: Rules) -> bool:
    """Return whether rules differ by added horizons and models alone.

    An added file must not register features, since they would change all models.
    """
    known, files = len(before.models), len(before.extensions)
    is_wider = set(before.horizons) <= set(now.horizons) and now.models[:known] == before.models
    if not is_wider or not before.models or now.extensions[:files] != before.extensions:
        return False
    return not user_features(run.extensions[files:])


def describe_added(added: Added, rules: Rules) -> str:
    """Describe what a computation adds; it is nothing if an added file registers only models that are not used."""
    if not added.models:
        return "extensions added, without a model that is used: forecasts stay as they are"
    if added.horizons == rules.horizons:
        names = f"model{'s' if len(added.models) > 1 else ''} {', '.join(added.models)}"
        return f"{names} added: only this is fitted; blend, served forecasts, intervals and scores are computed again"
    names = f"horizon{'s' if len(added.horizons) > 1 else ''} {', '.join(f'{minutes}m' for minutes in added.horizons)}"
    return f"{names} added: forecasts at other horizons stay as they are"
