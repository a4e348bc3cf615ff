data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  glue = "arn:${data.aws_partition.this.partition}:glue:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
}

output "database" {
  description = "Name of the database."
  value       = aws_glue_catalog_database.this.name
}

output "tables" {
  description = "Names of the tables."
  value       = keys(aws_glue_catalog_table.this)
}

output "arns" {
  description = "The catalogue, the database and its tables, as policies name them."
  value       = ["${local.glue}:catalog", "${local.glue}:database/${var.database}", "${local.glue}:table/${var.database}/*"]
}
