"""All that runs remember between them, in one place: it can be deleted at any time and is rebuilt.

Here belong the paths of state (`paths` alone knows them), their forms (`arrays`, `records`), what decides whether they
still hold (`fingerprints`, `checkpoints`), fitted models (`artefacts`) and copies on this machine's disk (`copies`).
What is computed from candles belongs elsewhere: this package only keeps it.
"""
