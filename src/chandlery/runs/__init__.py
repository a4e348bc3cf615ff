"""Runs: the order of stages, what a run begins from, what it plans, publishes, keeps and deletes, and migrations.

What the driver decides belongs here: `pipeline` holds the order, and each other module answers one of its questions.
Work on the candles of one symbol is done by `tasks`, and what a run asks of files and tables goes through `lake`.
"""
