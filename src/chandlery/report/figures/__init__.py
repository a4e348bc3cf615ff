"""The figures of the pages, one module for each section of the report.

A function here turns small frames into one Plotly figure: a plain dictionary, so that drawing needs no library. Frames
are prepared in `chandlery.report.data` and `chandlery.report.measures`, and the words around a figure are written in
`chandlery.report.sections`.
"""
