variable "name" {
  description = "Name of the application and of its log group."
  type        = string
}

variable "release" {
  description = "EMR release; 7.x runs Spark 3.5."
  type        = string
  default     = "emr-7.12.0"
}

variable "architecture" {
  description = "X86_64 or ARM64; the environment that a job brings along is built for one of them."
  type        = string
  default     = "X86_64"
}

variable "maximum" {
  description = "The most that all runs together may use at a time: this bounds what an hour can cost."
  type        = object({ vcpu = number, memory_gb = number, disk_gb = number })
  default     = { vcpu = 32, memory_gb = 256, disk_gb = 400 }
}

variable "idle_minutes" {
  description = "After so many idle minutes the application stops."
  type        = number
  default     = 5
}

variable "subnet_ids" {
  description = "Private subnets for the workers; none: EMR's own network, which reaches S3 and Glue of its region."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups in these subnets."
  type        = list(string)
  default     = []
}

variable "log_days" {
  description = "For how long logs are kept."
  type        = number
  default     = 30
}
