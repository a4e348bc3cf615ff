# What one needs to read the lake's tables, and no more: statements for the policies of people and of engines. It makes nothing.

variable "lake" {
  description = "The lake's bucket."
  type        = object({ bucket = string, arn = string, key_arn = string })
}

variable "tables" {
  description = "Names of the lake's tables."
  type        = list(string)
}

variable "catalog_arns" {
  description = "The Glue catalogue, the database and its tables."
  type        = list(string)
}

variable "region" {
  description = "Where the lake lies."
  type        = string
}

output "statements" {
  description = "Statements of an IAM policy."
  value = [
    {
      Sid       = "ListTables"
      Effect    = "Allow"
      Action    = ["s3:ListBucket"]
      Resource  = [var.lake.arn]
      Condition = { StringLike = { "s3:prefix" = flatten([for table in var.tables : [table, "${table}/*"]]) } }
    },
    {
      Sid      = "ReadTables"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = concat(["${var.lake.arn}/lake.json"], [for table in var.tables : "${var.lake.arn}/${table}/*"])
    },
    {
      Sid      = "FindLake"
      Effect   = "Allow"
      Action   = ["s3:GetBucketLocation"]
      Resource = [var.lake.arn]
    },
    {
      Sid       = "DecryptTables"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [var.lake.key_arn]
      Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
    },
    {
      Sid      = "ReadCatalog"
      Effect   = "Allow"
      Action   = ["glue:GetDatabase", "glue:GetDatabases", "glue:GetTable", "glue:GetTables", "glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition"]
      Resource = var.catalog_arns
    },
  ]
}
