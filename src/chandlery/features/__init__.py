"""Inputs and targets of the models, computed when a candle closes: features of a symbol, its leaders and the market."""
