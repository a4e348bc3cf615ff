output "workgroup" {
  description = "The workgroup."
  value       = { name = aws_redshiftserverless_workgroup.this.workgroup_name, arn = aws_redshiftserverless_workgroup.this.arn, database = aws_redshiftserverless_namespace.this.db_name }
}

output "role_arn" {
  description = "The role that reads the lake, for COPY."
  value       = aws_iam_role.this.arn
}

output "create_schema" {
  description = "The statement that has made the external schema, for another database."
  value       = local.schema
}
