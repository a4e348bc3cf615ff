# The lake's tables as Glue knows them. tables.json is made from chandlery's own contract (make docs): no crawler guesses.

locals {
  contract = jsondecode(file("${path.module}/tables.json"))
  tables = {
    for name, table in local.contract : name => merge(table, {
      columns = concat(table.columns, name == "forecasts" ? [for model in var.own_models : { name = "predicted_${model}", type = "float", comment = "forecast of a model of one's own" }] : [])
    })
  }

  # Athena projects a number by its range alone: horizons are taken to be the first one and every step to the last.
  shortest = min(var.horizons_minutes...)
  span     = max(var.horizons_minutes...) - local.shortest
  step     = max([for step in range(1, 1 + min(1023, max(1, local.span))) : step if alltrue([for horizon in var.horizons_minutes : (horizon - local.shortest) % step == 0])]...)

  projections = {
    exchange        = { type = "enum", values = join(",", var.exchanges) }
    interval        = { type = "enum", values = join(",", var.intervals) }
    symbol          = { type = "enum", values = join(",", var.symbols) }
    year            = { type = "integer", range = "${var.years[0]},${var.years[1]}" }
    horizon_minutes = { type = "integer", range = "${local.shortest},${local.shortest + local.span}", interval = tostring(local.step) }
  }
}

check "years_are_projected" {
  assert {
    condition     = tonumber(formatdate("YYYY", plantimestamp())) < var.years[1]
    error_message = "Athena sees candles and forecasts up to the end of ${var.years[1]} alone: give a later year in var.years."
  }
}

resource "aws_glue_catalog_database" "this" {
  name         = var.database
  description  = "Tables of the lake s3://${var.lake}/, as chandlery's contract declares them"
  location_uri = "s3://${var.lake}/"
}

resource "aws_glue_catalog_table" "this" {
  for_each = local.tables

  database_name = aws_glue_catalog_database.this.name
  name          = each.key
  description   = each.value.description
  table_type    = "EXTERNAL_TABLE"
  parameters = merge(
    { EXTERNAL = "TRUE", classification = "parquet", "projection.enabled" = "true" },
    merge([for key in each.value.partitions : { for setting, value in local.projections[key.name] : "projection.${key.name}.${setting}" => value }]...),
  )

  dynamic "partition_keys" {
    for_each = each.value.partitions
    content {
      name    = partition_keys.value.name
      type    = partition_keys.value.type
      comment = partition_keys.value.comment
    }
  }

  storage_descriptor {
    location      = "s3://${var.lake}/${each.key}/"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      parameters            = { "serialization.format" = "1" }
    }

    dynamic "columns" {
      for_each = each.value.columns
      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }

  lifecycle {
    # After a run chandlery adds new exchanges, intervals and symbols, and widens the range to the horizons of all series.
    ignore_changes = [
      parameters["projection.exchange.values"],
      parameters["projection.interval.values"],
      parameters["projection.symbol.values"],
      parameters["projection.horizon_minutes.range"],
      parameters["projection.horizon_minutes.interval"],
    ]
  }
}
