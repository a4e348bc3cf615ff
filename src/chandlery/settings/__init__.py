"""The settings: their model with defaults and checks, the layers they come from, and the file that `init` writes.

The settings that a lake stores belong to `runs.founding`, and the settings that a stage receives to that stage.
"""
