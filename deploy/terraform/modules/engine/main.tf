# Where runs happen: an EMR Serverless application that costs nothing while nothing runs, and its log group.

resource "aws_emrserverless_application" "this" {
  name          = var.name
  type          = "SPARK"
  release_label = var.release
  architecture  = var.architecture

  maximum_capacity {
    cpu    = "${var.maximum.vcpu} vCPU"
    memory = "${var.maximum.memory_gb} GB"
    disk   = "${var.maximum.disk_gb} GB"
  }

  auto_start_configuration {
    enabled = true
  }

  auto_stop_configuration {
    enabled              = true
    idle_timeout_minutes = var.idle_minutes
  }

  dynamic "network_configuration" {
    for_each = length(var.subnet_ids) > 0 ? [1] : []
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/chandlery/${var.name}"
  retention_in_days = var.log_days
}
