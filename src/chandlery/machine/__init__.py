"""What the machine offers: compiled kernels, memory, private folders, the numeric libraries, and the clients of AWS.

A module belongs here if it would serve any program that computes on arrays. Nothing here knows what a candle is.
"""
