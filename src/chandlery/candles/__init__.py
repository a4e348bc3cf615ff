"""Candles: rows of raw files become candles, rejects and a ledger, and missing candles become typed gaps.

What decides whether a row is a candle, and what a silence was, belongs here. It is all computed on frames and arrays,
without storage; how files are read is the package `sources`.
"""
