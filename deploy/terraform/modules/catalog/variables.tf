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

variable "exchanges" {
  description = "Exchanges that Athena sees at first; chandlery adds those of each run to the tables, and Terraform leaves these alone."
  type        = list(string)

  validation {
    condition     = length(var.exchanges) > 0 && alltrue([for exchange in var.exchanges : can(regex("^[a-z0-9_]+$", exchange))])
    error_message = "found [${join(", ", var.exchanges)}], expected at least one exchange of a-z, 0-9 and _, as in bitfinex."
  }
}

variable "intervals" {
  description = "Intervals of candles that Athena sees at first, as in 1m; likewise."
  type        = list(string)

  validation {
    condition     = length(var.intervals) > 0 && alltrue([for interval in var.intervals : can(regex("^[0-9]+[sm]$", interval))])
    error_message = "found [${join(", ", var.intervals)}], expected at least one interval in minutes or seconds, as in 1m, 60m or 15s."
  }
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
  description = "Horizons of all series of the lake, as in lake.json; chandlery adds those of each run to the tables."
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
