"""The six sections of the page: one sentence that says what is seen and how to read it, figures, and the numbers behind."""

import datetime as dt

import polars as pl

from chandlery.grid import DAY_MINUTES
from chandlery.report import figures
from chandlery.report.data import Detail, Overview
from chandlery.report.markup import (
    NO_FORECASTS_YET,
    count,
    details,
    escape,
    figure,
    only_for,
    paragraph,
    percent,
    plus_minus,
    table,
    when,
)
from chandlery.report.measures import total
from chandlery.schema import GAP_KINDS, REASONS
from chandlery.units import to_interval_text, to_minutes_text

__all__ = ["SECTIONS", "account_rows", "explain_serving", "show_calibration", "show_fans", "show_gaps", "show_skill"]

MOST_FILES = 100  # refused files that are listed
MOST_GAPS = 10  # gaps of a symbol that are listed
YEAR_MONTHS = 12
NO_SCORES_YET = "No forecast has been scored yet: <code>chandlery forecast</code> makes forecasts once there is enough history for a first fit, and scores them as their targets pass."
NOTHING = "Nothing to show: no symbol of this lake has candles yet."


def account_rows(overview: Overview, _: list[Detail]) -> str:
    """Return section 1: what became of every row that was read."""
    sums = overview.symbols.select(pl.col("^rows_.*$").sum(), pl.col("files", "refused").sum()).row(0, named=True)
    lead = f"Of {count(sums['rows_read'])} rows in {count(sums['files'])} files, {count(sums['rows_kept'])} are candles; every other row is counted under what became of it, and rows read is the sum of the columns to its right."
    parts = [paragraph(lead, "lead")]
    columns = ["rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected"]
    rows = []
    for row in overview.symbols.iter_rows(named=True):
        whole = row["rows_read"] == sum(row[name] for name in columns[1:])
        rows.append(
            [
                row["symbol"],
                when(row["first_time"]),
                when(row["last_time"]),
                count(row["files"]),
                *(count(row[name]) for name in columns),
                "yes" if whole else "NO",
            ]
        )
    heads = [
        "symbol",
        "first candle",
        "last candle",
        "files",
        "rows read",
        "= kept",
        "+ identical",
        "+ superseded",
        "+ rejected",
        "adds up",
    ]
    parts.append(table(heads, rows, "Rows by symbol; times in UTC", words=3))
    parts.append(
        paragraph(
            "Identical: the same candle again. Superseded: another version of the candle, from a later file, stays. Rejected: refused for the reasons below; <code>chandlery explain SYMBOL</code> shows each such row's text."
        )
    )
    lost = overview.symbols.filter(pl.col("symbol").is_in(overview.shown) & (pl.col("rows_read") > pl.col("rows_kept")))
    if lost.height:
        parts.append(
            figure(
                "rows",
                figures.draw_rows(lost),
                "Rows that became no candles of their own, by symbol.",
                110 + 34 * lost.height,
            )
        )
    reasons = (
        overview.reasons.group_by("reason")
        .agg(pl.col("rows").sum(), pl.col("symbol").n_unique().alias("symbols"))
        .sort("rows", "reason", descending=[True, False])
    )
    if reasons.height:
        told = [
            [row["reason"], REASONS.get(row["reason"], ""), count(row["rows"]), count(row["symbols"])]
            for row in reasons.iter_rows(named=True)
        ]
        parts.append(
            table(
                ["reason", "meaning", "rows", "symbols"],
                told,
                "Why rows were refused; a row with two reasons counts for both",
                words=2,
            )
        )
    if overview.refused.height:
        files = overview.refused.head(MOST_FILES)
        more = f", the first {MOST_FILES}" if overview.refused.height > MOST_FILES else ""
        told = [
            [row["symbol"], row["source"], (row["problem"] or "") + ("" if row["present"] else " (the file is gone)")]
            for row in files.iter_rows(named=True)
        ]
        parts.append(
            table(
                ["symbol", "file", "problem"],
                told,
                f"Files refused whole: {count(overview.refused.height)}{more}",
                words=3,
            )
        )
    else:
        parts.append(paragraph("No file was refused."))
    return "".join(parts)


def show_gaps(overview: Overview, found: list[Detail]) -> str:
    """Return section 2: gaps on a calendar."""
    lead = "Each square is a day, each column a month: plain where nothing is missing, else in the colour of the kind that is missing longest, and the stronger the longer (on a logarithmic scale: one minute is faint, a whole day full)."
    key = "".join(
        f'<li><span class="chip" style="background:var(--{kind})"></span><b>{kind}</b>: {escape(GAP_KINDS[kind])}</li>'
        for kind in figures.KINDS
    )
    parts = [
        paragraph(lead, "lead"),
        f'<ul class="key">{key}<li><span class="chip" style="background:var(--listed)"></span>listed, and nothing is missing but for mere quiet: candles without a trade, which are no fault</li></ul>\n',
    ]
    for detail in found:
        row = overview.symbols.row(by_predicate=pl.col("symbol") == detail.symbol, named=True)
        if row["first_time"] is None:
            parts.append(only_for(detail.symbol, paragraph(f"{detail.symbol} has no candles.")))
            continue
        length = dt.timedelta(seconds=overview.lake.grid.seconds)
        last = row["last_time"] + length - dt.timedelta(milliseconds=1)  # a week lasts beyond the day on which it opens
        calendar = figures.draw_calendar(detail.days, row["first_time"].date(), last.date())
        span = (row["last_time"] - row["first_time"]) / length + 1
        gone = f"{count(row['missing'])} {'candle' if row['missing'] == 1 else 'candles'}"
        gaps = f"{count(detail.gaps.height)} {'gap' if detail.gaps.height == 1 else 'gaps'}"
        share = percent(row["missing"] / span, 1)
        caption = f"{detail.symbol}: {gone} missing in {gaps}, {share} of the time from its first candle to its last."
        rows = [
            [when(gap["start"]), when(gap["end"]), lasting(gap["end"] - gap["start"]), gap["kind"], gap["evidence"]]
            for gap in detail.gaps.head(MOST_GAPS).iter_rows(named=True)
        ]
        years = [
            [when(year["start"]), when(year["end"]), year["evidence"], count(year["missing"])]
            for year in detail.quiet.iter_rows(named=True)
        ]
        quiet = table(["from", "to", "evidence", "candles without a trade"], years, "Mere quiet, by year", words=3)
        listed = (
            table(["from", "to", "length", "kind", "evidence"], rows, f"The longest gaps of {detail.symbol}", words=5)
            if rows
            else paragraph("It has no gap.")
        )
        parts.append(
            only_for(
                detail.symbol,
                figure(f"gaps-{detail.symbol}", calendar, caption, 340)
                + listed
                + details("Mere quiet, by year", quiet),
            )
        )
    return "".join(parts) if found else paragraph(NOTHING)


def lasting(time: dt.timedelta) -> str:
    """Return a length of time in its two greatest units."""
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    days, hours, rest = minutes // DAY_MINUTES, minutes % DAY_MINUTES // 60, minutes % 60
    if days or hours:
        return f"{days} d {hours} h" if days else f"{hours} h {rest} min"
    return " ".join([f"{rest} min"] * (rest > 0 or not seconds) + [f"{seconds} s"] * (seconds > 0))


def show_skill(overview: Overview, found: list[Detail]) -> str:
    """Return section 3: skill against the price that stays."""
    if overview.scores.is_empty():
        return paragraph(NO_SCORES_YET, "lead")
    parts = [
        paragraph(
            "Skill is the share of naive's squared error that a model takes away: 0 is the price that stays where it is, above 0 is better, below 0 is worse; bars are 95 % intervals, and one that crosses the line at 0 proves nothing.",
            "lead",
        ),
        paragraph(
            "<strong>No return to trade on.</strong> Part of the skill at the shortest horizons is a stale price catching up with the market: real as a forecast of the next recorded close, not a price that one could have traded at. Costs and spreads are not in it. What is served is chosen on the past alone, and can turn out worse than naive.",
            "note",
        ),
    ]
    pooled = figures.draw_skill(overview, overview.pooled)
    symbols = count(overview.scores["symbol"].n_unique())
    parts.append(
        figure(
            "skill-all",
            pooled,
            f"All {symbols} symbols together. Each symbol's errors count in units of its own naive error; the interval comes from the spread of whole months, which hardly overlap.",
            340,
        )
    )
    parts.append(details("Skill of what was served, every symbol", tell_served(overview)))
    for detail in found:
        own = overview.scores.filter((pl.col("symbol") == detail.symbol) & (pl.col("period") == "all"))
        if own.is_empty():
            parts.append(only_for(detail.symbol, paragraph(f"{detail.symbol} has no scores yet.")))
            continue
        caption = f"{detail.symbol}, all its past. The interval comes from the Diebold–Mariano statistic: skill divided by it is skill's standard error."
        content = figure(f"skill-{detail.symbol}", figures.draw_skill(overview, own), caption, 340)
        small = "".join(
            figure(
                f"months-{detail.symbol}-{horizon}",
                figures.draw_months(overview, detail.symbol, horizon),
                f"{to_minutes_text(horizon)} ahead, skill by month",
                170,
            )
            for horizon in overview.horizons
        )
        content += (
            f'<h3>{detail.symbol}, month by month</h3>{name_models(overview)}<div class="small">{small}</div>'
            + details(f"The numbers of {detail.symbol}", tell_scores(overview, own))
        )
        parts.append(only_for(detail.symbol, content))
    return "".join(parts)


def name_models(overview: Overview) -> str:
    """Return the key of the lines by month."""
    chips = "".join(
        f'<li><span class="chip" style="background:var({figures.model_colour(overview, model)})"></span>{escape(model)}</li>'
        for model in ("served", *overview.lake.models, "blend")
    )
    return f'<ul class="key line">{chips}<li>dashed: naive</li></ul>\n' + paragraph(
        "What was served is the blend wherever it was not naive, so that its line mostly hides the blend's. A month far beyond the others is cut off, and written where it is."
    )


def tell_scores(overview: Overview, own: pl.DataFrame) -> str:
    """Return a table of all scores of one symbol."""
    rows = []
    for row in own.filter(pl.col("model") != "naive").sort("horizon_minutes", "model").iter_rows(named=True):
        p = "–" if row["p_value"] is None else f"{row['p_value']:.2g}"
        statistic = "–" if row["dm_statistic"] is None else f"{row['dm_statistic']:.2f}"
        rows.append(
            [
                to_minutes_text(row["horizon_minutes"]),
                row["model"],
                row["verdict"] or "–",
                plus_minus(row["skill"], row["error"]),
                statistic,
                p,
                percent(row["directional_accuracy"], 1),
                count(row["n"]),
            ]
        )
    heads = ["horizon", "model", "against naive", "skill", "DM statistic", "p", "right direction", "forecasts"]
    caption = f"Over all time; the verdict holds at 5 % false discovery over all of the horizon in {overview.lake.name}"
    return table(heads, rows, caption, words=3)


def tell_served(overview: Overview) -> str:
    """Return a table of the skill of what was served, a line a symbol and a column a horizon."""
    served = overview.scores.filter((pl.col("model") == "served") & (pl.col("period") == "all"))
    values = {
        (row["symbol"], row["horizon_minutes"]): f"{plus_minus(row['skill'], row['error'])} ({row['verdict'] or '–'})"
        for row in served.iter_rows(named=True)
    }
    rows = [
        [symbol, *(values.get((symbol, horizon), "–") for horizon in overview.horizons)]
        for symbol in sorted(set(served["symbol"]))
    ]
    return table(
        ["symbol", *map(to_minutes_text, overview.horizons)],
        rows,
        "Skill of what was served, over all time, and the verdict against naive",
    )


def show_calibration(overview: Overview, found: list[Detail]) -> str:
    """Return section 4: whether what was said came, in the mean and in the spread."""
    if overview.scores.is_empty():
        return paragraph(NO_SCORES_YET, "lead")
    lead = "Forecasts are sorted by the move they predicted and cut into ten equal parts: a point on the dotted diagonal means that the move came, in the mean, just as large as predicted; points on the dashed line at 0 would mean that naive was right all along."
    rule = "Moves are in basis points (0.01 %). Only moments count when the blend was served, not naive, and only one in each span of a horizon, so that no two targets overlap; bars are 95 % intervals of the mean."
    parts = [paragraph(lead, "lead"), paragraph(rule)]
    for detail in found:
        tenths = [
            figure(
                f"tenths-{detail.symbol}-{horizon}",
                figures.draw_deciles(rows),
                f"{to_minutes_text(horizon)} ahead, {count(int(total(rows['n'])))} forecasts",
                230,
            )
            if rows.height
            else paragraph(f"{to_minutes_text(horizon)} ahead: too few forecasts by the blend for tenths.")
            for horizon, rows in detail.deciles.items()
        ]
        content = (
            f'<h3>{detail.symbol}, what was predicted and what came</h3><div class="small">{"".join(tenths)}</div>'
        )
        served = overview.scores.filter(
            (pl.col("symbol") == detail.symbol) & (pl.col("model") == "served") & (pl.col("period") == "all")
        )
        if served.height:
            caption = f"{detail.symbol}: share of actual prices inside the 80 % and the 95 % interval, by month, a line a horizon. Dashed is what was promised."
            content += f"<h3>{detail.symbol}, how often the intervals held</h3>" + figure(
                f"coverage-{detail.symbol}", figures.draw_coverage(overview, detail.symbol), caption, 320
            )
            rows = [
                [
                    to_minutes_text(row["horizon_minutes"]),
                    percent(row["coverage_80"], 1),
                    percent(row["coverage_95"], 1),
                ]
                for row in served.sort("horizon_minutes").iter_rows(named=True)
            ]
            content += details(
                "Over all time",
                table(
                    ["horizon", "inside 80 %", "inside 95 %"], rows, f"{detail.symbol}: how often the intervals held"
                ),
            )
        parts.append(only_for(detail.symbol, content))
    return "".join(parts)


def show_fans(overview: Overview, found: list[Detail]) -> str:
    """Return section 5: the last forecasts on the candles."""
    lead = "The newest forecast of each horizon, drawn from the last close: the line is the predicted close, dashed the price that stays, the inner band should hold the price 8 times in 10 and the outer one 19 times in 20. Their targets lie after the newest candle, so nobody knows yet."
    parts = [paragraph(lead, "lead")]
    for detail in found:
        if detail.fan.issues.is_empty():
            why = escape(NO_FORECASTS_YET)
            parts.append(only_for(detail.symbol, paragraph(f"{detail.symbol}: {why}")))
            continue
        newest = detail.fan.issues["issued_at"].max()
        issued = when(newest if isinstance(newest, dt.datetime) else None)
        drawn = figures.draw_near(detail.fan, overview.lake.grid.seconds)
        close_up = f"{detail.symbol}, forecast at {issued} UTC, close up.{tell_age(overview, detail)}"
        near = figure(f"near-{detail.symbol}", drawn, close_up, 360)
        wider = f"The same on {tell_span(detail)}, candles of {to_interval_text(detail.fan.bar_seconds)}."
        day = figure(f"day-{detail.symbol}", figures.draw_day(detail.fan), wider, 360)
        rows = []
        for row in detail.fan.issues.iter_rows(named=True):
            bands = [
                f"{row[f'lower_{level}']:.6g} – {row[f'upper_{level}']:.6g}"
                if row[f"lower_{level}"] is not None
                else "–"
                for level in (80, 95)
            ]
            rows.append(
                [
                    to_minutes_text(row["horizon_minutes"]),
                    when(row["target_time"]),
                    row["served_by"],
                    f"{row['close']:.6g}",
                    f"{row['predicted_close']:.6g}",
                    *bands,
                ]
            )
        told = table(
            ["horizon", "target time", "by", "close at issue (naive)", "predicted", "80 %", "95 %"],
            rows,
            f"{detail.symbol}: the newest forecasts, in the quote currency",
            words=3,
        )
        parts.append(only_for(detail.symbol, f'<div class="pair">{near}{day}</div>' + told))
    return "".join(parts) if found else paragraph(NOTHING)


def tell_span(detail: Detail) -> str:
    """Return what time the wider of the two pictures of a fan shows: a day, or as many as 300 candles need."""
    days = detail.fan.span / dt.timedelta(days=1)
    return "the last day" if days <= 1 else f"the last {days:,.0f} days"


def tell_age(overview: Overview, detail: Detail) -> str:
    """Return how long a symbol has been silent, where that is a day or more before the lake's newest candle."""
    last = detail.fan.near["open_time"].max()
    if overview.newest is None or not isinstance(last, dt.datetime) or overview.newest - last < dt.timedelta(days=1):
        return ""
    return f" Its last candle is {lasting(overview.newest - last)} older than the lake's newest."


def explain_serving(overview: Overview, found: list[Detail]) -> str:
    """Return section 6: what is served and why."""
    if overview.scores.is_empty():
        return paragraph(NO_SCORES_YET, "lead")
    lead = "Each midnight, UTC, the models' weights in the blend are set anew from this symbol's own past forecasts. The blend is served where its record has beaten the price that stays by more than its own uncertainty over the long run and has not turned bad over the newest weeks; the price that stays is served elsewhere. In times of wild volatility it is served only while there is a record of such times that has not turned bad."
    parts = [paragraph(lead, "lead")]
    for detail in found:
        rows = [serve_row(overview, detail, horizon) for horizon in overview.horizons]
        heads = [
            "horizon",
            "served now",
            "against naive",
            "skill, all time",
            f"skill, last {YEAR_MONTHS} months",
            "naive served",
        ]
        content = table(heads, rows, f"{detail.symbol}: what is served, and its record", words=3)
        if any(shares.height for shares in detail.naive.values()):
            caption = f"{detail.symbol}: how much of the time naive was served, by month and horizon. Plain: the blend all the time. Strong: naive all the time."
            content += figure(
                f"naive-{detail.symbol}",
                figures.draw_naive(detail, overview.horizons),
                caption,
                130 + 26 * len(overview.horizons),
            )
        parts.append(only_for(detail.symbol, content))
    fits = [
        [
            to_minutes_text(row["horizon_minutes"]),
            row["model"],
            when(row["refit_at"]),
            when(row["trained_until"]),
            count(row["rows"]),
            count(row["symbols"]),
            count(row["refits"]),
        ]
        for row in overview.models.iter_rows(named=True)
    ]
    heads = [
        "horizon",
        "model",
        "newest fit, in use from",
        "has seen no target after",
        "rows",
        "symbols",
        "fits so far",
    ]
    parts.append(
        details(
            "The models themselves: one fit serves every symbol, with a part of each one's own",
            table(heads, fits, "The newest fit of each model", words=2),
        )
    )
    return "".join(parts)


def serve_row(overview: Overview, detail: Detail, horizon: int) -> list[object]:
    """Return a line on what is served for a symbol and horizon."""
    served = overview.scores.filter(
        (pl.col("symbol") == detail.symbol) & (pl.col("horizon_minutes") == horizon) & (pl.col("model") == "served")
    )
    whole = served.filter(pl.col("period") == "all").to_dicts()
    months = served.filter(pl.col("period").str.len_chars() == 7).sort("period").tail(YEAR_MONTHS)  # noqa: PLR2004 - letters of a month
    recent = 1 - total(months["sse"]) / total(months["sse_naive"]) if total(months["sse_naive"]) > 0 else None
    now = detail.fan.issues.filter(pl.col("horizon_minutes") == horizon)["served_by"].to_list()
    shares = detail.naive[horizon]
    naive = total(shares["naive"]) / total(shares["n"]) if shares.height else None
    skill = plus_minus(whole[0]["skill"], whole[0]["error"]) if whole else "–"
    return [
        to_minutes_text(horizon),
        now[0] if now else "–",
        (whole[0]["verdict"] or "–") if whole else "–",
        skill,
        percent(recent),
        percent(naive, 1),
    ]


SECTIONS = (
    ("rows-accounted", "Rows", "Every row is accounted for", account_rows),
    ("gaps", "Gaps", "Gaps on a calendar", show_gaps),
    ("skill", "Skill", "Skill against the price that stays", show_skill),
    ("calibration", "Calibration", "Calibration and coverage", show_calibration),
    ("fan", "Last forecasts", "The last forecasts", show_fans),
    ("served", "Served", "What is served, and why", explain_serving),
)
