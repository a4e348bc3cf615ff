"""The steps of the forecast stage of a series, most of them a map over tasks; `pipeline` shows their order."""

from collections.abc import Callable, Sequence
from itertools import chain

from msgspec.structs import replace

from chandlery.errors import LawError, SettingsError
from chandlery.extensions import user_features
from chandlery.features.run import plan_features, warm_up_steps
from chandlery.runs.additions import Computation, describe_added, plan_computations
from chandlery.runs.estimates import FIT_SECONDS, describe_whole
from chandlery.runs.founding import make_rules
from chandlery.runs.gaps import publish_gaps
from chandlery.runs.leftovers import (
    forget_artefacts,
    forget_buckets,
    forget_checkpoints,
    forget_unknown,
    list_forecasts_but,
    list_replaced,
    list_without_candles,
)
from chandlery.runs.publishing import publish
from chandlery.runs.resuming import Resumption, choose_start, complete_summary, is_forecast
from chandlery.runs.session import SeriesRun, Session, Years
from chandlery.state.records import candles_fingerprint
from chandlery.tasks import market
from chandlery.tasks.fit import fit_models, plan_fits
from chandlery.tasks.gather import Gathered, gather_symbol, is_gathered, recall_gathered
from chandlery.tasks.kernels import KERNELS, are_compiled, compile_kernels
from chandlery.tasks.predict import Predicted, predict_symbol
from chandlery.tasks.score import ScoreTask, score_lake
from chandlery.tasks.work import SymbolTask

__all__ = [
    "begin",
    "build_market",
    "check_symbols",
    "compile_first",
    "finish",
    "fit",
    "gather",
    "list_computations",
    "pass_leak_gate",
    "predict",
    "publish_forecasts",
    "resume",
    "score",
    "unpublish_pruned",
]


def compile_first(session: Session) -> None:
    """Compile the kernels of forecasts side by side, if no earlier run on this machine has compiled them."""
    if not session.chosen or session.settings.engine.name != "local" or session.engine.at_once == 1 or are_compiled():
        return
    session.watch.stage("compile, once on this machine", len(KERNELS))
    try:
        costs = [seconds for _, seconds in KERNELS.values()]
        session.engine.map(compile_kernels, list(KERNELS), costs, session.watch.advance)
    finally:
        session.watch.end()


def check_symbols(session: Session) -> None:
    """Check that every symbol that the settings name has candles in a series to forecast.

    Raises:
        SettingsError: A symbol has no candles.
    """
    if not session.settings.symbols:
        return
    known = sorted({symbol for run in session.chosen for symbol in run.list_years()})
    if missing := sorted(set(session.settings.symbols).difference(known)):
        hint = "check --symbol, or ingest its files"
        raise SettingsError(f"no candles of {missing[0]}", f"one of {', '.join(known[:50])}", hint)


def unpublish_pruned(run: SeriesRun, years: Years) -> frozenset[str]:
    """Choose the objects to delete of symbols that have forecasts but no candles; without --prune, none.

    If the series has no candles at all, the objects are deleted at once, since no publication follows.

    Args:
        run: The series.
        years: The years with candles, by symbol.

    Returns:
        The paths to delete with the next publication of forecasts.
    """
    without_candles = list_without_candles(run, years)
    kept = [symbol for symbol in without_candles if not run.prunes(symbol)]
    if kept:
        found = f"forecasts of {', '.join(kept[:10])} are kept, although the lake has no candles for them"
        run.note(f"{found}. Hint: --prune deletes them")
    obsolete: frozenset[str] = frozenset()
    if len(kept) < len(without_candles):
        # Without any candles, checkpoints are dropped as well: if the same candles return, all are forecast again.
        checkpoints = run.summary.checkpoints if years else {}
        stays = frozenset([*years, *kept])
        remaining = sum(part["symbol"] in stays for part in run.list_forecasts())
        # The forecasts count as out of date, because scores are judged over all symbols.
        run.store_summary(replace(run.summary, forecast="", forecasts=remaining, checkpoints=checkpoints))
        obsolete = list_forecasts_but(run.lake, stays)
    if not years:
        publish(run.session, obsolete)
    return obsolete


def list_computations(run: SeriesRun, years: Years) -> list[Computation]:
    """Return the computations that bring the forecasts of a series up to date, in order; none if they are.

    The summary of the candles and the published gaps, which the computations read, are brought up to date first.

    Args:
        run: The series.
        years: The years with candles, by symbol.
    """
    if is_forecast(run, years):
        return []
    complete_summary(run, sorted(years))
    publish_gaps(run)  # no label crosses a gap, and tasks read the published gaps
    return plan_computations(run, make_rules(run.series, sorted(years)))


def resume(run: SeriesRun, symbols: list[str], computation: Computation, compute: Callable[[Resumption], None]) -> None:
    """Compute from the newest valid checkpoint on, or from an earlier one if state turns out to be lost.

    Args:
        run: The series.
        symbols: All symbols with candles, ascending.
        computation: What is computed.
        compute: Does the computation and publishes its results.
    """
    if computation.added:
        run.note(describe_added(computation.added, computation.rules))
    resumption = choose_start(run, symbols, computation.rules, computation.added)
    if resumption.why:
        run.note(f"{resumption.why}: {describe_whole(run.series, run.summary)}")
    while not resumption.try_to(compute):
        pass


def begin(resumption: Resumption) -> None:
    """Mark later checkpoints and the forecasts as invalid in the summary, before tasks overwrite them.

    If this run is killed, no later run then takes them for valid. If it adds horizons or models, or if settings or code
    have changed, the base is cleared as well: then every run computes everything until one has finished all symbols.
    """
    run = resumption.run
    base = run.summary.base if run.summary.base == resumption.base and not resumption.added else ""
    summary = replace(run.summary, checkpoints=resumption.still_valid, forecast="", base=base)
    run.store_summary(summary, change=run.session.staging)
    run.session.record_change(run.session.staging)


def build_market(resumption: Resumption) -> None:
    """Compute the leaders and the index of the market, which are stored in the lake until `finish` deletes them."""
    run, work = resumption.run, resumption.work
    works = [work] if work.rules.references else []
    with run.stage("market", len(work.rules.references), len(works)):
        run.session.map(market.build_market, works, [0.0] * len(works), str)


def gather(resumption: Resumption) -> Sequence[Gathered]:
    """Gather the rows that models learn from, unless an earlier run has gathered them already."""
    run, work, pasts = resumption.run, resumption.work, resumption.pasts
    if is_gathered(work):
        with run.stage("gather", len(pasts), 0):
            return [recall_gathered(work, symbol, past.first_day, past.newest_ms) for symbol, past in pasts.items()]
    with run.stage("gather", len(pasts), len(pasts)):
        tasks = [SymbolTask(work, symbol, past.first_day) for symbol, past in pasts.items()]
        costs = list(resumption.costs.values())
        gathered = run.session.map(gather_symbol, tasks, costs, lambda result: result.symbol)
        forget_buckets(work, gathered)
    return gathered


def pass_leak_gate(results: Sequence[Gathered] | Sequence[Predicted]) -> None:
    """Require that the leak gate has checked all blocks that it chose, in every task.

    A task that finds a leak raises at once. So this check fails only if a task has left out some of its own checks.

    Args:
        results: The results of the gather or the forecast tasks.

    Raises:
        LawError: A task has not checked a block.
    """
    for report in (result.gate for result in results):
        if report is not None and report.checked < report.chosen:
            raise LawError(
                f"the leak gate has checked {report.checked} of {report.chosen} blocks of {report.symbol}",
                "a check of each",
                "look for the task that leaves checks out; no forecasts were published",
            )


def fit(resumption: Resumption, gathered: Sequence[Gathered]) -> int:
    """Fit the models, and return the number of tasks."""
    run, work = resumption.run, resumption.work
    # The names are the same for every symbol, so none is given.
    names = plan_features("", work.rules.grid, work.rules.references, user_features(work.extensions)).names
    tasks = plan_fits(work, tuple(gathered), names)
    with run.stage("fit", len(tasks), len(tasks)):
        costs = [FIT_SECONDS * len(task.due) for task in tasks]
        artefacts = run.session.map(fit_models, tasks, costs, str)
        if work.added is None:
            forget_artefacts(work, list(chain.from_iterable(artefacts)), [result.symbol for result in gathered])
    return len(tasks)


def predict(resumption: Resumption) -> Sequence[Predicted]:
    """Stage the forecasts of the symbols to publish."""
    run, work, pasts = resumption.run, resumption.work.narrow(), resumption.pasts
    symbols = resumption.published_symbols
    with run.stage("forecast", len(pasts), len(symbols)):
        tasks = [SymbolTask(work, symbol, pasts[symbol].first_day) for symbol in symbols]
        costs = [resumption.costs[symbol] for symbol in symbols]
        return run.session.map(predict_symbol, tasks, costs, lambda result: result.symbol)


def score(resumption: Resumption) -> None:
    """Stage the scores and the table of models, from the sums of all symbols."""
    run, published = resumption.run, frozenset(resumption.published_symbols)
    task = ScoreTask(resumption.work, tuple(resumption.pasts), published, run.session.options.prune, run.session.named)
    with run.stage("scores", 1, 1):
        run.session.map(score_lake, [task], [0.0], str)


def publish_forecasts(resumption: Resumption, predicted: Sequence[Predicted], obsolete: frozenset[str]) -> int:
    """Publish forecasts, scores and models.

    Args:
        resumption: What was computed.
        predicted: The results of the forecast tasks.
        obsolete: Paths of other objects to delete.

    Returns:
        How many objects the table of forecasts has afterwards.
    """
    run = resumption.run
    published, replaced = list_replaced(run.lake, resumption.span, predicted, run.series.horizons)
    remaining = published - replaced - obsolete
    if len(remaining) < run.summary.forecasts:  # otherwise, after a kill, the deleted objects would count as lost
        run.store_summary(replace(run.summary, forecasts=len(remaining)))
    put = publish(run.session, replaced | obsolete).put
    return len(remaining | {path for path in put if path.startswith("forecasts/")})


def finish(resumption: Resumption, fits: int, forecasts: int) -> None:
    """Record what is up to date, and delete state that is no longer needed.

    Args:
        resumption: What was computed and published.
        fits: How many fit tasks there were.
        forecasts: How many objects the table of forecasts has.
    """
    market.forget_market(resumption.work)
    _report_short_history(resumption, fits, forecasts)
    if len(resumption.published_symbols) == len(resumption.pasts):
        _record(resumption, forecasts)


def _report_short_history(resumption: Resumption, fits: int, forecasts: int) -> None:
    """Report why there are no forecasts, if the history is too short for any."""
    run, rules, added = resumption.run, resumption.rules, resumption.work.added
    if resumption.span.resumed or (added and not added.models):
        return
    if not fits:
        run.note(
            f"no forecasts yet: the first fit is in the first month after {rules.min_train_days}d of history. "
            "Hint: add older candles, or lower [forecast] min_train"
        )
    elif not forecasts:
        run.note(
            "no forecasts yet: no model has enough rows to learn from, because the first "
            f"{warm_up_steps(rules.grid)} candles of a symbol are not used. Hint: add older candles"
        )


def _record(resumption: Resumption, forecasts: int) -> None:
    """Record the checkpoints as valid and the forecasts as up to date; delete other checkpoints after that."""
    run, rules = resumption.run, resumption.rules
    checkpoints = resumption.all_checkpoints()
    summary = replace(
        run.summary,
        checkpoints=checkpoints,
        code=resumption.code,
        forecast=candles_fingerprint(run.summary),
        base=resumption.base,
        forecasts=forecasts,
        horizons=list(rules.horizons),
        models=list(rules.models),
        extensions=list(rules.extensions),
    )
    run.store_summary(summary)
    forget_checkpoints(run.lake, checkpoints)
    if not resumption.span.resumed:
        forget_unknown(run.lake)
