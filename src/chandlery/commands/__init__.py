"""Commands: the command line, what commands print, the probes of `check`, and the driver's entry point of a job.

What reads arguments, prints, or sets an exit code belongs here, and nothing that a Python caller would miss: each
command calls a function of another package.
"""
