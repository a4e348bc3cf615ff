output "roles" {
  description = "The roles, by who."
  value       = { for who, role in aws_iam_role.this : who => { name = role.name, arn = role.arn } }
}

output "policies" {
  description = "What each role may do, as JSON."
  value       = { for who, policy in aws_iam_role_policy.this : who => policy.policy }
}
