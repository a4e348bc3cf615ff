"""The lake: object stores, the lease, `lake.json`, the tables, and how readers get at them.

A module belongs here if it puts, lists or reads objects and would do so whatever the rows mean. `store` alone knows
an object store; what runs remember between each other is the package `state`.
"""
