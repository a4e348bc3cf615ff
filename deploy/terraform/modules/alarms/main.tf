# Who is told when a run fails, when none succeeds for a day, and when it costs too much.

data "aws_caller_identity" "this" {}

resource "aws_sns_topic" "this" {
  name = "${var.name}-alarms" # not encrypted with a key: a key that a service may not use would lose alarms, and they tell names alone
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ServicesTell"
      Effect    = "Allow"
      Principal = { Service = ["events.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })
}

resource "aws_sns_topic_subscription" "this" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

locals {
  states = { failed = ["FAILED", "CANCELLED"], succeeded = ["SUCCESS"] }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.states

  name        = "${var.name}-run-${each.key}"
  description = "Runs of ${var.application.name} that ended as ${join(" or ", each.value)}"
  event_pattern = jsonencode({
    source      = ["aws.emr-serverless"]
    detail-type = ["EMR Serverless Job Run State Change"]
    detail      = { applicationId = [var.application.id], state = each.value }
  })
}

resource "aws_cloudwatch_event_target" "failed" {
  rule = aws_cloudwatch_event_rule.this["failed"].name
  arn  = aws_sns_topic.this.arn

  input_transformer {
    input_paths    = { run = "$.detail.jobRunId", name = "$.detail.jobRunName", state = "$.detail.state", time = "$.time" }
    input_template = "\"Run <run> (<name>) of ${var.application.name} ended as <state> at <time>. Its logs: ${var.log_group.name}.\""
  }
}

# A target makes EventBridge count a rule's events, and the day without any is what the alarm is about.
resource "aws_cloudwatch_log_group" "succeeded" {
  name              = "/aws/events/${var.name}-run-succeeded"
  retention_in_days = 30
}

resource "aws_cloudwatch_log_resource_policy" "succeeded" {
  policy_name = "${var.name}-run-succeeded"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.succeeded.arn}:*"
    }]
  })
}

resource "aws_cloudwatch_event_target" "succeeded" {
  rule = aws_cloudwatch_event_rule.this["succeeded"].name
  arn  = aws_cloudwatch_log_group.succeeded.arn
}

resource "aws_cloudwatch_metric_alarm" "quiet" {
  alarm_name          = "${var.name}-no-run-succeeded"
  alarm_description   = "No run of ${var.application.name} has succeeded for ${var.quiet_hours} hours: analysts read old tables"
  namespace           = "AWS/Events"
  metric_name         = "TriggeredRules"
  dimensions          = { RuleName = aws_cloudwatch_event_rule.this["succeeded"].name }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = var.quiet_hours
  datapoints_to_alarm = var.quiet_hours
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching" # EventBridge counts what happens, and says nothing where nothing does
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

resource "aws_budgets_budget" "this" {
  count = var.monthly_usd == null ? 0 : 1

  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_usd)
  limit_unit   = "USD"

  dynamic "cost_filter" {
    for_each = var.cost_tag == null ? [] : [var.cost_tag]
    content {
      name   = "TagKeyValue"
      values = [format("user:%s$%s", cost_filter.value.key, cost_filter.value.value)]
    }
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type         = notification.key
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      comparison_operator       = "GREATER_THAN"
      subscriber_sns_topic_arns = [aws_sns_topic.this.arn]
    }
  }
}
