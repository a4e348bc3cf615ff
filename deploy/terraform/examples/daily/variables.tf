variable "name" {
  description = "What every name begins with; <name>-raw, <name>-lake and <name>-staging have to be free in all of S3."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}$", var.name))
    error_message = "found ${var.name}, expected a-z, 0-9 and -, beginning with a letter: buckets take no other names."
  }
}

variable "region" {
  description = "Where all of it lies."
  type        = string
}

variable "exchanges" {
  description = "Exchanges that Athena sees before the first run."
  type        = list(string)
  default     = ["bitfinex"]
}

variable "intervals" {
  description = "Intervals of candles that Athena sees before the first run."
  type        = list(string)
  default     = ["1m"]
}

variable "symbols" {
  description = "Symbols that Athena sees before the first run."
  type        = list(string)
  default     = ["BTCUSD", "ETHUSD"]
}

variable "horizons_minutes" {
  description = "Horizons of all series that Athena sees before the first run."
  type        = list(number)
  default     = [30]
}

variable "emr_release" {
  description = "EMR release."
  type        = string
  default     = "emr-7.12.0"
}

variable "maximum" {
  description = "The most that all runs together may use at a time."
  type        = object({ vcpu = number, memory_gb = number, disk_gb = number })
  default     = { vcpu = 32, memory_gb = 256, disk_gb = 400 }
}

variable "scan_limit_gb" {
  description = "An Athena query that would scan more is cancelled."
  type        = number
  default     = 50
}

variable "redshift" {
  description = "Whether to make Redshift Serverless too."
  type        = bool
  default     = false
}

variable "schedulers" {
  description = "ARNs of who may act as scheduler, such as Airflow's role; none: whoever this account's IAM lets."
  type        = list(string)
  default     = []
}

variable "analysts" {
  description = "ARNs of who may act as analyst; none: whoever this account's IAM lets."
  type        = list(string)
  default     = []
}

variable "auditors" {
  description = "ARNs of who may act as auditor; none: whoever this account's IAM lets."
  type        = list(string)
  default     = []
}

variable "analysts_see_all_names" {
  description = "Let analysts list names of what is no table."
  type        = bool
  default     = false
}

variable "alarm_emails" {
  description = "Who is told of failures and costs."
  type        = list(string)
  default     = []
}

variable "monthly_usd" {
  description = "The month's budget; null: none."
  type        = number
  default     = 100
}
