"""Horizons and models that are added to finished forecasts, without computing again what stays as it is.

A horizon within the reach changes no training row, and each horizon is fitted, served and scored by itself: only the
added one is computed. An added model is fitted alone, to rows that are there already where another model has learned
from samples; all models predict again, since the blend and what is served depend on all of them.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from chandlery.extensions import own_features
from chandlery.runs.resuming import forecast_base
from chandlery.runs.session import SeriesRun
from chandlery.state.records import candles_fingerprint
from chandlery.tasks.work import Added, Rules

__all__ = ["Computation", "describe_added", "plan_computations"]


@dataclass(frozen=True)
class Computation:
    """One of the computations by which forecasts come up to date.

    Args:
        rules: What decides results after it.
        added: What alone it computes, from the first candle on; None where it goes on from a checkpoint.
    """

    rules: Rules
    added: Added | None = None


def plan_computations(run: SeriesRun, rules: Rules) -> list[Computation]:
    """Return the computations by which the forecasts of a series come up to date, in order.

    Where only horizons or models were added since the forecasts were finished, what was finished comes up to date
    first, then horizons are added, then models. Otherwise everything is one step.

    Args:
        run: The series.
        rules: What decides results now.
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
    steps = [] if summary.forecast == candles_fingerprint(summary) else [Computation(before)]
    if wider != before:
        fresh = tuple(minutes for minutes in rules.horizons if minutes not in before.horizons)
        steps.append(Computation(wider, Added(fresh, before.models)))
    if rules != wider:
        steps.append(Computation(rules, Added(rules.horizons, rules.models[len(before.models) :])))
    return steps


def only_adds(run: SeriesRun, before: Rules, now: Rules) -> bool:
    """Return whether rules differ in added horizons and models alone; an added file must not register features."""
    known, files = len(before.models), len(before.extensions)
    is_wider = set(before.horizons) <= set(now.horizons) and now.models[:known] == before.models
    if not is_wider or not before.models or now.extensions[:files] != before.extensions:
        return False
    return not own_features(run.extensions[files:])


def describe_added(added: Added, rules: Rules) -> str:
    """Return in words what a step adds."""
    if added.horizons == rules.horizons:
        names = f"model{'s' if len(added.models) > 1 else ''} {', '.join(added.models)}"
        return f"{names} added: it is fitted alone; blend, what is served, intervals and scores are computed again"
    names = f"horizon{'s' if len(added.horizons) > 1 else ''} {', '.join(f'{minutes}m' for minutes in added.horizons)}"
    return f"{names} added: forecasts at other horizons stay as they are"
