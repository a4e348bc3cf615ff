"""Measurements that run the pipeline twice: whether an extension helps, and whether two engines make the same bytes.

Here belongs what sets up two lakes of its own, runs both and holds their results against each other; the lake of the
settings is read and never written. The runs themselves, the scores of a lake and what is printed belong to
`chandlery.runs`, `chandlery.forecasts` and `chandlery.commands`.
"""

from chandlery.compare.extension import Comparison, Wanted, compare_extension
from chandlery.compare.measures import Row

__all__ = ["Comparison", "Row", "Wanted", "compare_extension"]
