"""Forecasts: out-of-sample predictions, what is served of them, its intervals and scores, and the leak gate.

Everything here computes from predictions and their outcomes, on arrays alone. The package `models` fits and predicts;
the package `runs` decides which rows a run computes.
"""
