# Redshift Serverless over the same tables: an external schema on the Glue database, read with a role that can do nothing else.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

module "reading" {
  source       = "../reading"
  lake         = var.lake
  tables       = var.catalog.tables
  catalog_arns = var.catalog.arns
  region       = data.aws_region.this.name
}

resource "aws_iam_role" "this" {
  name = "${var.name}-redshift"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"] }
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = "read-tables"
  role   = aws_iam_role.this.id
  policy = jsonencode({ Version = "2012-10-17", Statement = module.reading.statements })
}

resource "aws_redshiftserverless_namespace" "this" {
  namespace_name        = var.name
  db_name               = "chandlery"
  admin_username        = "keeper"
  manage_admin_password = true # in Secrets Manager, not here
  default_iam_role_arn  = aws_iam_role.this.arn
  iam_roles             = [aws_iam_role.this.arn]
}

resource "aws_redshiftserverless_workgroup" "this" {
  namespace_name      = aws_redshiftserverless_namespace.this.namespace_name
  workgroup_name      = var.name
  base_capacity       = var.base_capacity
  max_capacity        = var.max_capacity
  publicly_accessible = false
  subnet_ids          = var.subnet_ids
  security_group_ids  = var.security_group_ids

  config_parameter {
    parameter_key   = "require_ssl"
    parameter_value = "true"
  }
}

resource "aws_redshiftserverless_usage_limit" "this" {
  resource_arn  = aws_redshiftserverless_workgroup.this.arn
  usage_type    = "serverless-compute"
  period        = "daily"
  amount        = var.rpu_hours_a_day
  breach_action = "deactivate"
}

locals {
  schema = "CREATE EXTERNAL SCHEMA IF NOT EXISTS ${var.schema} FROM DATA CATALOG DATABASE '${var.catalog.database}' IAM_ROLE '${aws_iam_role.this.arn}'"
}

resource "aws_redshiftdata_statement" "schema" {
  workgroup_name = aws_redshiftserverless_workgroup.this.workgroup_name
  database       = aws_redshiftserverless_namespace.this.db_name
  secret_arn     = aws_redshiftserverless_namespace.this.admin_password_secret_arn
  sql            = local.schema
  depends_on     = [aws_iam_role_policy.this]
}

resource "aws_redshiftdata_statement" "usage" {
  workgroup_name = aws_redshiftdata_statement.schema.workgroup_name
  database       = aws_redshiftserverless_namespace.this.db_name
  secret_arn     = aws_redshiftserverless_namespace.this.admin_password_secret_arn
  sql            = "GRANT USAGE ON SCHEMA ${var.schema} TO PUBLIC"
  depends_on     = [aws_redshiftdata_statement.schema]
}

# Readers connect as themselves: Redshift makes a user of each role's name, who owns nothing and sees the schema.
resource "aws_iam_role_policy" "readers" {
  for_each = toset(var.reader_roles)

  name = "${var.name}-redshift"
  role = each.value
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Connect", Effect = "Allow", Action = ["redshift-serverless:GetCredentials", "redshift-serverless:GetWorkgroup", "redshift-data:ExecuteStatement"], Resource = [aws_redshiftserverless_workgroup.this.arn] },
      {
        Sid       = "OwnStatements"
        Effect    = "Allow"
        Action    = ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:CancelStatement"]
        Resource  = ["*"]
        Condition = { StringEquals = { "redshift-data:statement-owner-iam-userid" = "$${aws:userid}" } }
      },
    ]
  })
}
