"""The settings: their model with defaults and checks, the layers they come from, and the file that `init` writes.

What every command may be given belongs here. What a lake keeps of the settings is `runs.founding`'s, and what a stage
receives of them is a typed object of that stage.
"""
