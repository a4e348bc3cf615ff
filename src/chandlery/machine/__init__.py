"""The machine below the computations: compiled kernels, memory, private folders, numeric libraries, clients of AWS.

A module belongs here if it would serve any program that computes on arrays. Nothing here knows what a candle is.
"""
