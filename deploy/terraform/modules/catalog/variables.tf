variable "lake" {
  description = "Name of the lake's bucket."
  type        = string
}

variable "database" {
  description = "Name of the Glue database: a-z, 0-9 and _."
  type        = string
  default     = "chandlery"

  validation {
    condition     = can(regex("^[a-z0-9_]+$", var.database))
    error_message = "found ${var.database}, expected a-z, 0-9 and _ alone: Athena takes no other names."
  }
}

variable "exchange" {
  description = "The lake's exchange, as in lake.json."
  type        = string
}

variable "symbols" {
  description = "Symbols that Athena sees at first; chandlery adds those of each run to the tables, and Terraform leaves these alone."
  type        = list(string)

  validation {
    condition     = length(var.symbols) > 0 && alltrue([for symbol in var.symbols : can(regex("^[A-Z0-9]+$", symbol))])
    error_message = "found [${join(", ", var.symbols)}], expected at least one symbol of A-Z and 0-9, as in BTCUSD."
  }
}

variable "horizons_minutes" {
  description = "The lake's horizons, as in lake.json."
  type        = list(number)

  validation {
    condition     = length(var.horizons_minutes) > 0 && alltrue([for horizon in var.horizons_minutes : horizon >= 1 && floor(horizon) == horizon])
    error_message = "found [${join(", ", var.horizons_minutes)}], expected at least one whole number of minutes."
  }
}

variable "years" {
  description = "First and last year that Athena looks for: a query that names no year asks S3 for each of them."
  type        = list(number)
  default     = [2013, 2040]

  validation {
    condition     = length(var.years) == 2 && try(var.years[0] <= var.years[1], false)
    error_message = "found [${join(", ", var.years)}], expected a first and a last year."
  }
}

variable "own_models" {
  description = "Models of your own, whose columns forecasts has besides those that are built in."
  type        = list(string)
  default     = []
}
