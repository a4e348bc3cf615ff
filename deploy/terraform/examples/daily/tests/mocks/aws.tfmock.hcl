# What AWS would say of itself, and of what is made: no account.

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_region" {
  defaults = { name = "eu-west-1" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1::key/made-up" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-west-1::topic" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1::log-group:made-up" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam:::role/made-up" }
}

mock_resource "aws_emrserverless_application" {
  defaults = { arn = "arn:aws:emr-serverless:eu-west-1::/applications/made-up" }
}

mock_resource "aws_redshiftserverless_namespace" {
  defaults = { admin_password_secret_arn = "arn:aws:secretsmanager:eu-west-1::secret:made-up" } # pragma: allowlist secret
}

mock_resource "aws_redshiftserverless_workgroup" {
  defaults = { arn = "arn:aws:redshift-serverless:eu-west-1::workgroup/made-up" }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::made-up" }
}
