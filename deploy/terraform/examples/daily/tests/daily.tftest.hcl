# The whole example, without an account: every part gets the names of the others.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name   = "crypto"
  region = "eu-west-1"
}

run "names_follow_one_name" {
  assert {
    condition     = output.uris == { source = "s3://crypto-raw/", lake = "s3://crypto-lake/", jobs = "s3://crypto-staging/jobs/", logs = "s3://crypto-staging/logs/" }
    error_message = "buckets and folders are not those that the name gives"
  }
  assert {
    condition     = toset(keys(output.roles)) == toset(["pipeline", "scheduler", "analyst", "auditor"])
    error_message = "there are other roles than four"
  }
  assert {
    condition     = output.redshift == null
    error_message = "Redshift costs while it is asked; it is made on demand alone"
  }
}

run "nobody_may_do_anything_everywhere" {
  assert {
    condition = alltrue(flatten([for policy in values(module.access.policies) : [
      for statement in jsondecode(policy).Statement : [for action in statement.Action : !strcontains(action, "*")]
    ]]))
    error_message = "a role has a wild card among its actions"
  }
  assert {
    condition     = alltrue(flatten([for policy in values(module.access.policies) : [for statement in jsondecode(policy).Statement : !contains(statement.Resource, "*")]]))
    error_message = "a role may do something to every resource"
  }
  assert {
    condition     = !anytrue(flatten([for who in ["analyst", "auditor"] : [for statement in jsondecode(module.access.policies[who]).Statement : [for action in statement.Action : can(regex("^s3:(Put|Delete)", action)) && anytrue([for arn in statement.Resource : !strcontains(arn, "/athena/")])]]]))
    error_message = "an analyst or an auditor may write elsewhere than into query results"
  }
}

run "names_of_the_lake_can_be_shown" {
  variables {
    analysts_see_all_names = true
  }
  assert {
    condition     = length([for statement in jsondecode(module.access.policies["analyst"]).Statement : statement if contains(statement.Action, "s3:ListBucket") && !can(statement.Condition)]) == 1
    error_message = "analysts_see_all_names did not let analysts list the lake"
  }
  assert {
    condition     = length([for statement in jsondecode(module.access.policies["analyst"]).Statement : statement if contains(statement.Action, "s3:GetObject") && anytrue([for arn in statement.Resource : can(regex("/(state|runs|artefacts)/|lake/\\*", arn))])]) == 0
    error_message = "analysts_see_all_names let analysts read what is no table"
  }
}

run "a_bad_name_is_refused" {
  command = plan
  variables {
    name = "Crypto_Lake"
  }
  expect_failures = [var.name]
}

run "redshift_reads_the_same_tables" {
  variables {
    redshift = true
  }
  assert {
    condition     = output.redshift.create_schema == "CREATE EXTERNAL SCHEMA IF NOT EXISTS lake FROM DATA CATALOG DATABASE 'crypto' IAM_ROLE 'arn:aws:iam:::role/made-up'"
    error_message = "found ${output.redshift.create_schema}"
  }
}
