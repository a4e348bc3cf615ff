# Each module alone, without an account.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name      = "crypto"
  region    = "eu-west-1"
  lake      = "crypto-lake"
  database  = "crypto"
  exchanges = ["bitfinex"]
  intervals = ["1m"]
  symbols   = ["BTCUSD"]
}

run "a_bucket_is_private" {
  module {
    source = "../../modules/bucket"
  }
  variables {
    bucket      = "made-up"
    expire_days = { "tmp/" = 7 }
  }
  assert {
    condition     = alltrue([for closed in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] : aws_s3_bucket_public_access_block.this[closed]])
    error_message = "the bucket can be made public"
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == aws_kms_key.this.arn
    error_message = "objects are not encrypted with the bucket's own key"
  }
  assert {
    condition     = one(aws_s3_bucket_versioning.this.versioning_configuration).status == "Enabled"
    error_message = "replaced objects are lost"
  }
  assert {
    condition     = one([for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement if statement.Sid == "TlsAlone"]) == { Sid = "TlsAlone", Effect = "Deny", Principal = "*", Action = "s3:*", Resource = ["arn:aws:s3:::made-up", "arn:aws:s3:::made-up/*"], Condition = { Bool = { "aws:SecureTransport" = "false" } } }
    error_message = "the bucket can be reached without TLS"
  }
  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "the key is never rotated"
  }
  assert {
    condition     = toset([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id]) == toset(["old-versions", "expire-tmp"])
    error_message = "objects are not dropped as told"
  }
}

run "tables_are_projected" {
  module {
    source = "../../modules/catalog"
  }
  variables {
    symbols          = ["BTCUSD", "ETHUSD"]
    horizons_minutes = [5, 30, 60]
    years            = [2013, 2040]
  }
  assert {
    condition = { for name, value in aws_glue_catalog_table.this["forecasts"].parameters : name => value if startswith(name, "projection.") } == {
      "projection.enabled"                  = "true"
      "projection.exchange.type"            = "enum"
      "projection.exchange.values"          = "bitfinex"
      "projection.interval.type"            = "enum"
      "projection.interval.values"          = "1m"
      "projection.symbol.type"              = "enum"
      "projection.symbol.values"            = "BTCUSD,ETHUSD"
      "projection.year.type"                = "integer"
      "projection.year.range"               = "2013,2040"
      "projection.horizon_minutes.type"     = "integer"
      "projection.horizon_minutes.range"    = "5,60"
      "projection.horizon_minutes.interval" = "5"
    }
    error_message = "forecasts' partitions are not projected as told"
  }
  assert {
    condition     = { for name, value in aws_glue_catalog_table.this["scores"].parameters : name => value if startswith(name, "projection.") } == { "projection.enabled" = "true", "projection.exchange.type" = "enum", "projection.exchange.values" = "bitfinex", "projection.interval.type" = "enum", "projection.interval.values" = "1m" }
    error_message = "scores have a partition key that they do not have"
  }
  assert {
    condition     = [for table in aws_glue_catalog_table.this : one(table.storage_descriptor).location if table.name == "candles"] == ["s3://crypto-lake/candles/"]
    error_message = "candles are looked for elsewhere than where they are"
  }
}

run "one_horizon_is_one_value" {
  state_key = "one_horizon" # of tables that are there already, runs widen the range
  module {
    source = "../../modules/catalog"
  }
  variables {
    horizons_minutes = [30]
  }
  assert {
    condition     = aws_glue_catalog_table.this["forecasts"].parameters["projection.horizon_minutes.range"] == "30,30"
    error_message = "a single horizon is not projected as itself"
  }
}

run "horizons_of_all_series_are_projected" {
  state_key = "several_series"
  module {
    source = "../../modules/catalog"
  }
  variables {
    exchanges        = ["bitfinex", "kraken", "unknown"]
    intervals        = ["1m", "240m", "10080m"]
    horizons_minutes = [30, 240, 10080]
  }
  assert {
    condition     = [for setting in ["range", "interval"] : aws_glue_catalog_table.this["forecasts"].parameters["projection.horizon_minutes.${setting}"]] == ["30,10080", "30"]
    error_message = "the horizons of a series are not projected"
  }
  assert {
    condition     = [for key in ["exchange", "interval"] : aws_glue_catalog_table.this["models"].parameters["projection.${key}.values"]] == ["bitfinex,kraken,unknown", "1m,240m,10080m"]
    error_message = "a series is not projected"
  }
}

run "a_model_of_ones_own_has_a_column" {
  module {
    source = "../../modules/catalog"
  }
  variables {
    horizons_minutes = [30]
    own_models       = ["catching"]
  }
  assert {
    condition     = contains([for column in one(aws_glue_catalog_table.this["forecasts"].storage_descriptor).columns : column.name], "predicted_catching")
    error_message = "forecasts have no column for the model"
  }
  assert {
    condition     = !contains([for column in one(aws_glue_catalog_table.this["candles"].storage_descriptor).columns : column.name], "predicted_catching")
    error_message = "candles have a column of a model"
  }
}

run "years_that_end_are_told" {
  command = plan
  module {
    source = "../../modules/catalog"
  }
  variables {
    horizons_minutes = [30]
    years            = [2013, 2020]
  }
  expect_failures = [check.years_are_projected]
}

run "symbols_are_upper_case" {
  command = plan
  module {
    source = "../../modules/catalog"
  }
  variables {
    symbols          = ["btc/usd"]
    horizons_minutes = [30]
  }
  expect_failures = [var.symbols]
}

run "horizons_are_whole_minutes" {
  command = plan
  module {
    source = "../../modules/catalog"
  }
  variables {
    horizons_minutes = [0.5]
  }
  expect_failures = [var.horizons_minutes]
}

run "an_engine_is_bounded" {
  module {
    source = "../../modules/engine"
  }
  variables {
    maximum = { vcpu = 8, memory_gb = 64, disk_gb = 100 }
  }
  assert {
    condition     = one(aws_emrserverless_application.this.maximum_capacity).cpu == "8 vCPU" && one(aws_emrserverless_application.this.auto_stop_configuration).enabled
    error_message = "the engine may grow or idle without a bound"
  }
  assert {
    condition     = aws_emrserverless_application.this.release_label == "emr-7.12.0"
    error_message = "another release than the default"
  }
}

run "a_query_is_bounded" {
  module {
    source = "../../modules/athena"
  }
  variables {
    results       = { bucket = "crypto-staging", key_arn = "arn:aws:kms:eu-west-1::key/made-up", prefix = "athena/" }
    scan_limit_gb = 2
  }
  assert {
    condition     = one(aws_athena_workgroup.this.configuration).bytes_scanned_cutoff_per_query == 2147483648 && one(aws_athena_workgroup.this.configuration).enforce_workgroup_configuration
    error_message = "a query may scan more than it is allowed"
  }
}

run "redshift_is_bounded_and_reads_alone" {
  module {
    source = "../../modules/redshift"
  }
  variables {
    lake         = { bucket = "crypto-lake", arn = "arn:aws:s3:::crypto-lake", key_arn = "arn:aws:kms:eu-west-1::key/made-up" }
    catalog      = { database = "crypto", tables = ["candles"], arns = ["arn:aws:glue:eu-west-1::catalog"] }
    reader_roles = ["crypto-analyst"]
  }
  assert {
    condition     = !aws_redshiftserverless_workgroup.this.publicly_accessible && aws_redshiftserverless_usage_limit.this.breach_action == "deactivate"
    error_message = "Redshift is public, or has no bound"
  }
  assert {
    condition     = aws_redshiftserverless_namespace.this.manage_admin_password
    error_message = "a password would stand in Terraform's state"
  }
  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : [for action in statement.Action : action if startswith(action, "s3:")]])) == toset(["s3:ListBucket", "s3:GetObject", "s3:GetBucketLocation"])
    error_message = "Redshift may do more to buckets than to read"
  }
  assert {
    condition     = aws_redshiftdata_statement.usage.sql == "GRANT USAGE ON SCHEMA lake TO PUBLIC"
    error_message = "readers do not see the schema"
  }
}

run "failures_are_told" {
  module {
    source = "../../modules/alarms"
  }
  variables {
    application = { id = "made-up", name = "crypto" }
    log_group   = { name = "/chandlery/crypto" }
    monthly_usd = 10
    quiet_hours = 49
    cost_tag    = { key = "project", value = "crypto" }
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["failed"].event_pattern).detail == { applicationId = ["made-up"], state = ["FAILED", "CANCELLED"] }
    error_message = "other runs than the application's, or other ends than failures, are told"
  }
  assert {
    condition     = aws_cloudwatch_event_target.failed.arn == aws_sns_topic.this.arn && toset(aws_cloudwatch_metric_alarm.quiet.alarm_actions) == toset([aws_sns_topic.this.arn])
    error_message = "nobody is told"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.quiet.evaluation_periods * aws_cloudwatch_metric_alarm.quiet.period == 49 * 3600 && aws_cloudwatch_metric_alarm.quiet.treat_missing_data == "breaching"
    error_message = "a silence is not told after the hours that were asked for"
  }
  assert {
    condition     = one(aws_budgets_budget.this[0].cost_filter).values[0] == format("user:%s$%s", "project", "crypto")
    error_message = "the budget counts other things than the tag's"
  }
  assert {
    condition     = { for notification in aws_budgets_budget.this[0].notification : notification.notification_type => notification.threshold } == { ACTUAL = 80, FORECASTED = 100 } && aws_budgets_budget.this[0].limit_amount == "10"
    error_message = "the budget is not told before it is spent"
  }
}
