"""HTML pages for people: the report of one series of a lake, and one picture of a symbol.

They are made of the published tables alone and need no network. Here belongs what such a page shows and how it is drawn
and worded; tables in a terminal belong to `chandlery.commands.show`, and whatever is computed for the lake itself to the
packages of its stages.
"""

from chandlery.report.write import Written, write_plot, write_report

__all__ = ["Written", "write_plot", "write_report"]
