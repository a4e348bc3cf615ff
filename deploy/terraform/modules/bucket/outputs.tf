output "this" {
  description = "The bucket: its name, its ARN, and that of its key."
  value       = { bucket = aws_s3_bucket.this.bucket, arn = aws_s3_bucket.this.arn, key_arn = aws_kms_key.this.arn }
}
