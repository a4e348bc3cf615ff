"""Everything that one run stores for the next: it can be deleted while no run is writing, and is rebuilt.

This package has the paths of state (defined in `paths` alone), its formats (`arrays`, `records`), what decides whether
it is still valid (`fingerprints`, `checkpoints`), fitted models (`artefacts`) and copies on local disk (`copies`).
It computes nothing from candles.
"""
