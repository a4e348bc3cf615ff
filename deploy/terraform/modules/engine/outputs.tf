output "application" {
  description = "The EMR Serverless application."
  value       = { id = aws_emrserverless_application.this.id, arn = aws_emrserverless_application.this.arn, name = aws_emrserverless_application.this.name }
}

output "log_group" {
  description = "The runs' log group."
  value       = { name = aws_cloudwatch_log_group.this.name, arn = aws_cloudwatch_log_group.this.arn }
}
