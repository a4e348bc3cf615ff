variable "bucket" {
  description = "The bucket's name, unique in all of AWS."
  type        = string
}

variable "keep_old_versions_days" {
  description = "For how long a replaced or deleted object can be had back."
  type        = number
  default     = 30
}

variable "expire_days" {
  description = "Objects below a prefix are dropped after so many days."
  type        = map(number)
  default     = {}
}
