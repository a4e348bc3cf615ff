# Everything for a daily run and a hundred readers: three buckets, four roles, an engine, tables, SQL and alarms.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { project = var.name }
  }
}

module "raw" {
  source = "../../modules/bucket"
  bucket = "${var.name}-raw"
}

module "lake" {
  source                 = "../../modules/bucket"
  bucket                 = "${var.name}-lake"
  keep_old_versions_days = 14 # a daily run replaces each pair's current year
}

module "staging" {
  source                 = "../../modules/bucket"
  bucket                 = "${var.name}-staging"
  keep_old_versions_days = 1
  expire_days            = { "logs/" = 30, "tmp/" = 7, "athena/" = 7 }
}

module "engine" {
  source  = "../../modules/engine"
  name    = var.name
  release = var.emr_release
  maximum = var.maximum
}

module "catalog" {
  source           = "../../modules/catalog"
  lake             = module.lake.this.bucket
  database         = replace(var.name, "-", "_")
  exchanges        = var.exchanges
  intervals        = var.intervals
  symbols          = var.symbols
  horizons_minutes = var.horizons_minutes
}

module "athena" {
  source        = "../../modules/athena"
  name          = var.name
  results       = { bucket = module.staging.this.bucket, key_arn = module.staging.this.key_arn, prefix = "athena/" }
  scan_limit_gb = var.scan_limit_gb
}

module "access" {
  source                 = "../../modules/access"
  name                   = var.name
  raw                    = module.raw.this
  lake                   = module.lake.this
  staging                = module.staging.this
  results_prefix         = "athena/"
  application_arn        = module.engine.application.arn
  log_group_arn          = module.engine.log_group.arn
  catalog                = module.catalog
  workgroup_arn          = module.athena.workgroup.arn
  schedulers             = var.schedulers
  analysts               = var.analysts
  auditors               = var.auditors
  analysts_see_all_names = var.analysts_see_all_names
}

module "redshift" {
  count = var.redshift ? 1 : 0

  source       = "../../modules/redshift"
  name         = var.name
  lake         = module.lake.this
  catalog      = module.catalog
  reader_roles = [module.access.roles.analyst.name]
}

module "alarms" {
  source      = "../../modules/alarms"
  name        = var.name
  application = module.engine.application
  log_group   = module.engine.log_group
  emails      = var.alarm_emails
  monthly_usd = var.monthly_usd
}
