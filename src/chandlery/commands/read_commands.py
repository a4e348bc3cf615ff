"""The commands that read a lake, and print or plot its content.

Packages are imported within the commands that need them: importing all of them takes about a second.
"""

from chandlery.commands import options as opt
from chandlery.commands.options import load_with_options

__all__ = ["explain", "plot", "query", "report", "scores", "tables"]


def tables(
    config: opt.Config = None, lake: opt.LakeUri = None, series: opt.SeriesNames = None, json: opt.Json = False,
) -> None:  # fmt: skip
    """Show the size and time range of each table, and of each series if there are several.

    Example: chandlery tables --lake lake/
    """
    from chandlery.commands.contents import show_tables
    from chandlery.machine.imports import hides_pandas

    with hides_pandas():
        show_tables(load_with_options(config, lake=lake, series=series), as_json=json)


def scores(
    config: opt.Config = None, lake: opt.LakeUri = None, symbol: opt.ShownSymbols = None,
    series: opt.SeriesNames = None, period: opt.Period = "all", json: opt.Json = False,
) -> None:  # fmt: skip
    """Show the errors of the forecasts beside those of the naive forecast, an unchanged price.

    Example: chandlery scores --lake lake/ --symbol LTCUSD --period 2019
    """
    from chandlery.commands.contents import show_scores

    settings = load_with_options(config, lake=lake, symbol=symbol, series=series)
    show_scores(settings, period, as_json=json)


def query(
    sql: opt.Sql, config: opt.Config = None, lake: opt.LakeUri = None, form: opt.ResultFormat = None,
    output: opt.ResultOutput = "", json: opt.Json = False,
) -> None:  # fmt: skip
    """Run a SELECT over the lake's tables.

    Example: chandlery query "SELECT symbol, count(*) FROM candles GROUP BY symbol" --lake lake/ --format csv
    """
    from chandlery.machine.imports import hides_pandas

    with hides_pandas():
        from chandlery.commands.results import choose_format, write_result
        from chandlery.lake.lake_file import find_lake_file

        chosen = choose_format(form, output, as_json=json)
        settings = load_with_options(config, lake=lake)
        find_lake_file(settings.lake.uri, settings.lake_storage)
        write_result(settings, sql, chosen, output)


def explain(
    symbol: opt.SymbolOrUnknown, row: opt.RowNumber = None, config: opt.Config = None, lake: opt.LakeUri = None,
    series: opt.SeriesNames = None, json: opt.Json = False,
) -> None:  # fmt: skip
    """Show how the rows of a symbol were processed in each series, and why rows were rejected.

    Example: chandlery explain LTCUSD --row 1203 --lake lake/
    """
    from chandlery.commands.contents import show_symbol

    show_symbol(load_with_options(config, lake=lake, series=series), symbol, row, as_json=json)


def report(
    config: opt.Config = None, lake: opt.LakeUri = None, series: opt.OneSeries = None, symbol: opt.DrawnSymbols = None,
    horizon: opt.DrawnHorizons = None, output: opt.ReportOutput = "report.html", json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Write one series of the lake as an HTML page that works offline.

    The page shows rows, gaps, skill, calibration, the last forecasts, and which forecasts are served and why.

    Example: chandlery report --lake lake/ --symbol LTCUSD --output report.html
    """
    from chandlery.commands import show
    from chandlery.progress import open_watch
    from chandlery.report import write_report

    settings = load_with_options(config, lake=lake, symbol=symbol, series=[series] if series else None)
    show.page(write_report(settings, output, horizon, open_watch(quiet=quiet or json)), as_json=json)


def plot(
    symbol: opt.Symbol, config: opt.Config = None, lake: opt.LakeUri = None, series: opt.OneSeries = None,
    horizon: opt.DrawnHorizons = None, days: opt.PlotDays = None, output: opt.PlotOutput = None, json: opt.Json = False,
) -> None:  # fmt: skip
    """Plot the last candles of a symbol, the forecasts for them, and the newest forecasts.

    Example: chandlery plot LTCUSD --lake lake/ --horizon 30m --days 2
    """
    from chandlery.commands import show
    from chandlery.report import write_plot

    settings = load_with_options(config, lake=lake, series=[series] if series else None)
    show.page(write_plot(settings, symbol, output, horizon, days), as_json=json)
