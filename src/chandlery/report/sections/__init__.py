"""The six sections of the report, one module for each: the words, the figures and the tables behind them.

A function here returns the HTML of one section. What is drawn is decided in `chandlery.report.figures`, what is
computed in `chandlery.report.data`, and the order of the sections in `chandlery.report.page`.
"""
