"""Everything that one run stores for the next: it can be deleted while no run is writing, and is rebuilt.

| module | what it has |
|---|---|
| `paths` | the paths of all state; no other module contains them |
| `arrays`, `records` | the formats: named arrays, and typed records as JSON |
| `artefacts` | fitted models |
| `fingerprints`, `checkpoints` | what decides whether stored results are still valid |
| `copies` | copies on local disk of objects that many tasks read |

This package computes nothing from candles.
"""
