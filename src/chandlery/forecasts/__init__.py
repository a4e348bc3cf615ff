"""Forecasts: out-of-sample predictions, what is served of them, its intervals and scores, and the leak gate.

What follows from predictions and what became of them belongs here, on arrays alone. How models learn and predict is
the package `models`; which rows a run computes is decided in `runs`.
"""
