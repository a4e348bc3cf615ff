"""HTML pages for people: the report of one series of a lake, and one picture of a symbol.

They are made from the published tables alone and need no network. Here belongs what such a page shows, how it is drawn
and how it is worded. Tables in a terminal belong to `chandlery.commands.show`, and what the lake itself stores to the
packages of its stages.
"""

from chandlery.report.write import Written, write_plot, write_report

__all__ = ["Written", "write_plot", "write_report"]
