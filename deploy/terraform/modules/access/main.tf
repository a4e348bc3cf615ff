# Who may do what: four roles. tests/terraform/rights.csv says it as a table, and tries every cell of it.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

module "reading" {
  source       = "../reading"
  lake         = var.lake
  tables       = var.catalog.tables
  catalog_arns = var.catalog.arns
  region       = local.region
}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.name
  via_s3    = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
  root      = "arn:${local.partition}:iam::${local.account}:root"

  jobs    = "${var.staging.arn}/jobs/*"
  logs    = "${var.staging.arn}/logs/*"
  scratch = "${var.staging.arn}/tmp/*"
  results = "${var.staging.arn}/${var.results_prefix}*"
  runs    = "${var.application_arn}/jobruns/*"

  policies = {
    pipeline = [
      { Sid = "ListBuckets", Effect = "Allow", Action = ["s3:ListBucket", "s3:GetBucketLocation"], Resource = [var.raw.arn, var.lake.arn, var.staging.arn] },
      { Sid = "ReadRaw", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${var.raw.arn}/*"] },
      {
        Sid      = "WriteLakeAndStaging"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = ["${var.lake.arn}/*", local.jobs, local.logs, local.scratch]
      },
      { Sid = "DecryptRaw", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.raw.key_arn], Condition = local.via_s3 },
      { Sid = "UseKeys", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.lake.key_arn, var.staging.key_arn], Condition = local.via_s3 },
      {
        Sid    = "RegisterPartitions"
        Effect = "Allow"
        Action = [
          "glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:UpdateTable", "glue:GetPartition", "glue:GetPartitions",
          "glue:BatchGetPartition", "glue:CreatePartition", "glue:BatchCreatePartition", "glue:DeletePartition", "glue:BatchDeletePartition",
        ]
        Resource = var.catalog.arns
      },
      { Sid = "FindLogGroups", Effect = "Allow", Action = ["logs:DescribeLogGroups"], Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:*"] },
      { Sid = "WriteLogs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], Resource = ["${var.log_group_arn}:*"] },
    ]

    scheduler = [
      { Sid = "StartRuns", Effect = "Allow", Action = ["emr-serverless:GetApplication", "emr-serverless:StartApplication", "emr-serverless:StartJobRun", "emr-serverless:ListJobRuns"], Resource = [var.application_arn] },
      { Sid = "WatchRuns", Effect = "Allow", Action = ["emr-serverless:GetJobRun", "emr-serverless:CancelJobRun"], Resource = [local.runs] },
      {
        Sid       = "PassPipeline"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.this["pipeline"].arn]
        Condition = { StringEquals = { "iam:PassedToService" = "emr-serverless.amazonaws.com" } }
      },
      { Sid = "ListStaging", Effect = "Allow", Action = ["s3:ListBucket", "s3:GetBucketLocation"], Resource = [var.staging.arn] },
      { Sid = "WriteJobs", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], Resource = [local.jobs] },
      { Sid = "ReadLogs", Effect = "Allow", Action = ["s3:GetObject"], Resource = [local.logs] },
      { Sid = "UseKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.staging.key_arn], Condition = local.via_s3 },
      { Sid = "ReadLogGroup", Effect = "Allow", Action = ["logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"], Resource = ["${var.log_group_arn}:*"] },
    ]

    analyst = concat(module.reading.statements, [for see in var.analysts_see_all_names ? [1] : [] : { Sid = "ListLake", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [var.lake.arn] }], [
      { Sid = "ListReports", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [var.lake.arn], Condition = { StringLike = { "s3:prefix" = ["reports", "reports/*"] } } },
      { Sid = "ReadReports", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${var.lake.arn}/reports/*"] },
      { Sid = "FindDefaultDatabase", Effect = "Allow", Action = ["glue:GetDatabase", "glue:GetDatabases"], Resource = ["arn:${local.partition}:glue:${local.region}:${local.account}:database/default"] }, # Athena looks there first
      {
        Sid    = "Query"
        Effect = "Allow"
        Action = [
          "athena:GetWorkGroup", "athena:StartQueryExecution", "athena:StopQueryExecution", "athena:GetQueryExecution", "athena:BatchGetQueryExecution",
          "athena:ListQueryExecutions", "athena:GetQueryResults", "athena:GetQueryResultsStream", "athena:GetQueryRuntimeStatistics",
        ]
        Resource = [var.workgroup_arn]
      },
      {
        Sid      = "Browse"
        Effect   = "Allow"
        Action   = ["athena:GetDataCatalog", "athena:GetDatabase", "athena:ListDatabases", "athena:GetTableMetadata", "athena:ListTableMetadata"]
        Resource = ["arn:${local.partition}:athena:${local.region}:${local.account}:datacatalog/AwsDataCatalog"]
      },
      { Sid = "FindResults", Effect = "Allow", Action = ["s3:GetBucketLocation"], Resource = [var.staging.arn] },
      {
        Sid       = "ListResults"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [var.staging.arn]
        Condition = { StringLike = { "s3:prefix" = [trim(var.results_prefix, "/"), "${var.results_prefix}*"] } }
      },
      { Sid = "KeepResults", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource = [local.results] },
      { Sid = "UseResultsKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.staging.key_arn], Condition = local.via_s3 },
    ])

    auditor = [
      { Sid = "ListRawAndLake", Effect = "Allow", Action = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation"], Resource = [var.raw.arn, var.lake.arn] },
      { Sid = "ReadRawAndLake", Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectVersion"], Resource = ["${var.raw.arn}/*", "${var.lake.arn}/*"] },
      { Sid = "Decrypt", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.raw.key_arn, var.lake.key_arn], Condition = local.via_s3 },
    ]
  }

  trust = merge(
    {
      pipeline = {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "emr-serverless.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = local.account }, ArnLike = { "aws:SourceArn" = var.application_arn } }
      }
    },
    {
      for who, arns in { scheduler = var.schedulers, analyst = var.analysts, auditor = var.auditors } :
      who => { Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = length(arns) > 0 ? arns : [local.root] } }
    },
  )
}

resource "aws_iam_role" "this" {
  for_each = local.trust

  name                 = "${var.name}-${each.key}"
  max_session_duration = each.key == "pipeline" ? 3600 : 43200
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = [each.value] })
}

resource "aws_iam_role_policy" "this" {
  for_each = toset(keys(local.trust))

  name   = each.key
  role   = aws_iam_role.this[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.policies[each.key] })
}
