output "uris" {
  description = "What chandlery and its schedule are given."
  value = {
    source = "s3://${module.raw.this.bucket}/"
    lake   = "s3://${module.lake.this.bucket}/"
    jobs   = "s3://${module.staging.this.bucket}/jobs/"
    logs   = "s3://${module.staging.this.bucket}/logs/"
  }
}

output "application_id" {
  description = "The EMR Serverless application."
  value       = module.engine.application.id
}

output "log_group" {
  description = "Name of the runs' log group."
  value       = module.engine.log_group.name
}

output "roles" {
  description = "ARNs of the roles, by who."
  value       = { for who, role in module.access.roles : who => role.arn }
}

output "database" {
  description = "Name of the Glue database."
  value       = module.catalog.database
}

output "workgroup" {
  description = "Name of the Athena workgroup."
  value       = module.athena.workgroup.name
}

output "redshift" {
  description = "The Redshift workgroup, its database and its role; null where there is none."
  value       = one([for redshift in module.redshift : { workgroup = redshift.workgroup.name, database = redshift.workgroup.database, role = redshift.role_arn, create_schema = redshift.create_schema }])
}
