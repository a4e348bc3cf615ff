"""The command line: `cli` lists the commands, and the modules `*_commands` define them with the flags in `options`.

Code that reads arguments, prints, or sets an exit code belongs here. Everything else that a command does is a function
of another package, which Python callers use as well.
"""
