-- The tables for Athena: run single statements, with your bucket as crypto-lake; see docs/reading.md.

CREATE EXTERNAL TABLE IF NOT EXISTS candles (
  `open_time` timestamp,
  `open` double,
  `high` double,
  `low` double,
  `close` double,
  `volume` double,
  `source` string
)
PARTITIONED BY (`exchange` string, `interval` string, `symbol` string, `year` int)
STORED AS PARQUET
LOCATION 's3://crypto-lake/candles/';

MSCK REPAIR TABLE candles;

CREATE EXTERNAL TABLE IF NOT EXISTS rejects (
  `source` string,
  `row` bigint,
  `raw` string,
  `open_time` timestamp,
  `reasons` array<string>
)
PARTITIONED BY (`exchange` string, `interval` string, `symbol` string)
STORED AS PARQUET
LOCATION 's3://crypto-lake/rejects/';

MSCK REPAIR TABLE rejects;

CREATE EXTERNAL TABLE IF NOT EXISTS ledger (
  `source` string,
  `status` string,
  `problem` string,
  `size_bytes` bigint,
  `etag` string,
  `sha256` string,
  `modified_at` timestamp,
  `layout` string,
  `first_time` timestamp,
  `last_time` timestamp,
  `rows_read` bigint,
  `rows_kept` bigint,
  `rows_identical` bigint,
  `rows_superseded` bigint,
  `rows_rejected` bigint,
  `present` boolean,
  `refused_etag` string,
  `refused_sha256` string,
  `refused_modified_at` timestamp,
  `rows_filled` bigint,
  `undecided` string,
  `decisions` string
)
PARTITIONED BY (`exchange` string, `interval` string, `symbol` string)
STORED AS PARQUET
LOCATION 's3://crypto-lake/ledger/';

MSCK REPAIR TABLE ledger;

CREATE EXTERNAL TABLE IF NOT EXISTS gaps (
  `start` timestamp,
  `end` timestamp,
  `missing` bigint,
  `kind` string,
  `evidence` string
)
PARTITIONED BY (`exchange` string, `interval` string, `symbol` string)
STORED AS PARQUET
LOCATION 's3://crypto-lake/gaps/';

MSCK REPAIR TABLE gaps;

CREATE EXTERNAL TABLE IF NOT EXISTS forecasts (
  `issued_at` timestamp,
  `target_time` timestamp,
  `close` double,
  `actual_close` double,
  `predicted_close` double,
  `served_by` string,
  `error_pct` float,
  `lower_80` float,
  `upper_80` float,
  `lower_95` float,
  `upper_95` float,
  `predicted_linear` float,
  `predicted_tree` float,
  `predicted_boosted` float,
  `predicted_blend` float
)
PARTITIONED BY (`exchange` string, `interval` string, `symbol` string, `horizon_minutes` int, `year` int)
STORED AS PARQUET
LOCATION 's3://crypto-lake/forecasts/';

MSCK REPAIR TABLE forecasts;

CREATE EXTERNAL TABLE IF NOT EXISTS scores (
  `symbol` string,
  `horizon_minutes` int,
  `model` string,
  `period` string,
  `n` bigint,
  `sse` double,
  `sse_naive` double,
  `rmse` double,
  `mae` double,
  `mape` double,
  `skill` double,
  `correlation` double,
  `directional_accuracy` double,
  `dm_statistic` double,
  `p_value` double,
  `coverage_80` double,
  `coverage_95` double,
  `verdict` string
)
PARTITIONED BY (`exchange` string, `interval` string)
STORED AS PARQUET
LOCATION 's3://crypto-lake/scores/';

MSCK REPAIR TABLE scores;

CREATE EXTERNAL TABLE IF NOT EXISTS models (
  `horizon_minutes` int,
  `model` string,
  `refit_at` timestamp,
  `trained_until` timestamp,
  `rows` bigint,
  `symbols` array<string>,
  `references` array<string>,
  `features` array<string>,
  `seed` bigint,
  `artefact` string
)
PARTITIONED BY (`exchange` string, `interval` string)
STORED AS PARQUET
LOCATION 's3://crypto-lake/models/';

MSCK REPAIR TABLE models;
