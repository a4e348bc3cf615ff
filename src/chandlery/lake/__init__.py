"""The lake: the object store, the lease, `lake.json`, and the tables with their readers.

A module belongs here if it writes, lists or reads objects without regard to what the rows mean. Only `store` and
`answers` know the object store's library. What runs remember from each other is stored by the package `state`.
"""
