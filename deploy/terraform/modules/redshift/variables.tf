variable "name" {
  description = "Name of the namespace and the workgroup."
  type        = string
}

variable "schema" {
  description = "Name of the external schema."
  type        = string
  default     = "lake"
}

variable "lake" {
  description = "The lake's bucket."
  type        = object({ bucket = string, arn = string, key_arn = string })
}

variable "catalog" {
  description = "Module catalog's database, tables and arns."
  type        = object({ database = string, tables = list(string), arns = list(string) })
}

variable "reader_roles" {
  description = "Names of the roles that may connect."
  type        = list(string)
}

variable "base_capacity" {
  description = "Redshift processing units that a query starts with: what an active second costs."
  type        = number
  default     = 8
}

variable "max_capacity" {
  description = "The most units at a time."
  type        = number
  default     = 16
}

variable "rpu_hours_a_day" {
  description = "After so many unit hours in a day queries are refused until the next."
  type        = number
  default     = 16
}

variable "subnet_ids" {
  description = "Subnets in three zones; none: the default network."
  type        = list(string)
  default     = null
}

variable "security_group_ids" {
  description = "Security groups in these subnets."
  type        = list(string)
  default     = null
}
