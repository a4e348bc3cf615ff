"""Candles made and kept: clean tables and scored forecasts from raw candle files."""
