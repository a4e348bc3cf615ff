# SQL for people: a workgroup that bounds what one query may scan and where its results go.

variable "name" {
  description = "Name of the workgroup."
  type        = string
}

variable "results" {
  description = "Where results go: a bucket, its key, and a prefix that ends in /."
  type        = object({ bucket = string, key_arn = string, prefix = string })
}

variable "scan_limit_gb" {
  description = "A query that would scan more is cancelled."
  type        = number
  default     = 50
}

resource "aws_athena_workgroup" "this" {
  name        = var.name
  description = "The lake's tables; at most ${var.scan_limit_gb} GB a query"

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.scan_limit_gb * pow(1024, 3)

    result_configuration {
      output_location = "s3://${var.results.bucket}/${var.results.prefix}"
      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = var.results.key_arn
      }
    }
  }
}

output "workgroup" {
  description = "The workgroup."
  value       = { name = aws_athena_workgroup.this.name, arn = aws_athena_workgroup.this.arn }
}
