variable "name" {
  description = "What the alarms' names begin with."
  type        = string
}

variable "application" {
  description = "The EMR Serverless application whose runs are watched."
  type        = object({ id = string, name = string })
}

variable "log_group" {
  description = "Where its logs are."
  type        = object({ name = string })
}

variable "emails" {
  description = "Who is told; each confirms by a link in a first mail."
  type        = list(string)
  default     = []
}

variable "quiet_hours" {
  description = "The alarm of a day without a run that succeeded goes off after so many whole hours: a day, and one for a run that takes longer."
  type        = number
  default     = 25

  validation {
    condition     = var.quiet_hours >= 1 && var.quiet_hours <= 168
    error_message = "found ${var.quiet_hours}, expected 1 to 168: CloudWatch looks back a week at most."
  }
}

variable "monthly_usd" {
  description = "The month's budget; told at 80 % spent and at 100 % forecast. null: none."
  type        = number
}

variable "cost_tag" {
  description = "Count only what has this tag, once it is activated for cost allocation; null: the whole account."
  type        = object({ key = string, value = string })
  default     = null
}
