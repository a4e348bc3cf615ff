"""Features: what models see of a symbol, of the market and of its leaders when a candle closes, and what they aim at.

A built-in or user-defined column of a row belongs here, with the one pass over candles that computes it. Models, and
which rows they learn from, do not.
"""
