variable "name" {
  description = "What the roles' names begin with."
  type        = string
}

variable "raw" {
  description = "The bucket of raw files, as module bucket puts it out."
  type        = object({ bucket = string, arn = string, key_arn = string })
}

variable "lake" {
  description = "The lake's bucket."
  type        = object({ bucket = string, arn = string, key_arn = string })
}

variable "staging" {
  description = "The bucket of jobs/ (what a run brings along), logs/, tmp/ and query results."
  type        = object({ bucket = string, arn = string, key_arn = string })
}

variable "results_prefix" {
  description = "Where in staging the results of analysts' queries go; it ends in /."
  type        = string
  default     = "athena/"

  validation {
    condition     = can(regex("^[a-z][a-z-]*/$", var.results_prefix)) && !contains(["jobs/", "logs/", "tmp/"], var.results_prefix)
    error_message = "found ${var.results_prefix}, expected a folder of its own, as in athena/."
  }
}

variable "application_arn" {
  description = "The EMR Serverless application."
  type        = string
}

variable "log_group_arn" {
  description = "The runs' log group."
  type        = string
}

variable "catalog" {
  description = "Module catalog's tables and arns."
  type        = object({ tables = list(string), arns = list(string) })
}

variable "workgroup_arn" {
  description = "The analysts' Athena workgroup."
  type        = string
}

variable "schedulers" {
  description = "ARNs of who may act as scheduler; none: whoever this account's IAM lets."
  type        = list(string)
  default     = []
}

variable "analysts" {
  description = "ARNs of who may act as analyst, such as the role of an SSO group; none: whoever this account's IAM lets."
  type        = list(string)
  default     = []
}

variable "auditors" {
  description = "ARNs of who may act as auditor; none: whoever this account's IAM lets."
  type        = list(string)
  default     = []
}

variable "analysts_see_all_names" {
  description = "Let analysts list the whole lake: names, not contents, of what is no table. pandas and Spark's s3a:// ask for more than the tables' listings."
  type        = bool
  default     = false
}
