"""The leak gate: a sample of what a run computes is computed again from data cut at a moment, and must be equal.

The gate runs inside the tasks, before anything is published. A value that differs raises `LawError`. A task that finds
no leak hands back a `report` of what it has checked, which the run requires before it goes on.

| module | what it checks | called by the task |
|---|---|---|
| `market` | the market of the reference pairs | market |
| `rows` | features, weights, the choice of rows, labels and kinds of gaps | gather, forecast |
| `training` | the rows that a block adds to the training rows | gather |
| `predictions` | predictions, and which fit made them | forecast |
| `served` | calibration, choice of model, intervals and published values | forecast |

`sampling` chooses the blocks and rows to check. What a refit trains on and learns is checked by the fit task itself.
The comparisons of values are in `chandlery.forecasts.leaks`.
"""
