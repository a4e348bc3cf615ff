"""The example, applied to moto, with four people, a stranger and things that are nobody's business."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto_aws import KEYS, REGION, Session, enforce
from policy import Document, Request, is_allowed, loosen
from rights import WHO, Names
from terraform_runs import Terraform, prepare

NAME = "crypto-test"
ASSUME = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
RIGHTS = (
    "module.access",
    *(
        f"module.{bucket}.{part}.this"
        for bucket in ("raw", "lake", "staging")
        for part in ("aws_s3_bucket_policy", "aws_kms_alias")
    ),
)
JUDGED = frozenset({"s3", "iam", "sts"})  # whose resources moto looks at


@dataclass(frozen=True)
class Cloud:
    """What Terraform has made on the server.

    Args:
        terraform: Its copy of the example.
        admin: Somebody who may do everything.
        people: Users who may ask for roles, by the role that is meant for them.
        documents: Each role's policies, as Terraform has rendered them.
        resources: The policies of buckets, keys and roles, by ARN.
        names: Names and ARNs.
    """

    terraform: Terraform
    admin: Session
    people: Mapping[str, Session]
    documents: Mapping[str, Document]
    resources: Mapping[str, Document]
    names: Names

    def decide(self, who: str, request: Request) -> bool:
        """Return what AWS would say, by the documents alone."""
        arn = request.resource.partition("/")[0] if request.resource.startswith("arn:aws:s3:::") else request.resource
        asked = Request(request.action, request.resource, self.names.things[f"{who} role"][0], request.context)
        return is_allowed(
            asked, [self.documents[who]], self.resources.get(arn), resource_decides=request.action.startswith("kms:")
        )

    def expect_of_moto(self, who: str, request: Request) -> bool:
        """Return what moto has to say: it knows no conditions, and resources of S3, IAM and STS alone."""
        resource = request.resource if request.action.partition(":")[0] in JUDGED else "*"
        return is_allowed(Request(request.action, resource), [loosen(self.documents[who], JUDGED)])


def apply_example(folder: Path, endpoint: str) -> Cloud:
    """Make people, apply for them what rights rest on, and gather what came of it.

    moto has no subscribers of a budget, so there is none.
    """
    setup = Session(endpoint, KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
    iam = setup.client("iam")
    people = {who: _make_user(setup, f"{who}-person", ASSUME) for who in WHO}
    admin = _make_user(setup, "admin", EVERYTHING)
    arns = {
        f"{who}s": [iam.get_user(UserName=f"{who}-person")["User"]["Arn"]]
        for who in ("scheduler", "analyst", "auditor")
    }
    variables = {
        "name": NAME,
        "region": REGION,
        "alarm_emails": ["operator@example.org"],
        "horizons_minutes": [30, 60, 240],
        "monthly_usd": None,
        **arns,
    }
    override = 'provider "aws" {\n  s3_use_path_style = true\n}\n'
    files = {"moto_override.tf": override, "terraform.tfvars.json": json.dumps(variables)}
    terraform = prepare(folder, {**KEYS, "AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true"}, files)
    terraform.run("apply", "-auto-approve", "-no-color", *(f"-target={target}" for target in RIGHTS))
    iam.create_role(
        RoleName="stranger",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"AWS": [iam.get_user(UserName="stranger-person")["User"]["Arn"]]},
                    }
                ],
            }
        ),
    )
    outputs = terraform.read_outputs()
    names = _name_things(setup, outputs)
    documents = {
        who: iam.get_role_policy(RoleName=f"{NAME}-{who}", PolicyName=who)["PolicyDocument"]
        for who in WHO
        if who != "stranger"
    }
    return Cloud(
        terraform, admin, people, {**documents, "stranger": {}}, dict(_read_resource_policies(setup, names)), names
    )


def _make_user(setup: Session, name: str, policy: Document) -> Session:
    iam = setup.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Session(setup.endpoint, key["AccessKeyId"], key["SecretAccessKey"])


def _name_things(setup: Session, outputs: Mapping[str, Any]) -> Names:
    """Make what is nobody's business, and return the names of everything."""
    account = setup.client("sts").get_caller_identity()["Account"]
    kms, engine, logs = (setup.client(service) for service in ("kms", "emr-serverless", "logs"))
    buckets = {place: f"{NAME}-{place}" for place in ("raw", "lake", "staging", "other")}
    setup.client("s3").create_bucket(Bucket=buckets["other"], CreateBucketConfiguration={"LocationConstraint": REGION})
    other_key = kms.create_key()["KeyMetadata"]["Arn"]
    keys = {
        place: kms.describe_key(KeyId=f"alias/{buckets[place]}")["KeyMetadata"]["Arn"]
        for place in ("raw", "lake", "staging")
    } | {"other": other_key}
    other = engine.create_application(name="other", releaseLabel="emr-7.12.0", type="SPARK")["applicationId"]
    runs = {
        application: _start_run(setup, application, outputs["roles"]["pipeline"])
        for application in (outputs["application_id"], other)
    }
    logs.create_log_group(logGroupName="other")
    for group in (outputs["log_group"], "other"):
        logs.create_log_stream(logGroupName=group, logStreamName="driver")
    setup.client("glue").create_database(DatabaseInput={"Name": "other"})
    setup.client("glue").create_table(DatabaseName="other", TableInput={"Name": "candles"})

    def arn(service: str, resource: str, region: str = REGION) -> str:
        return f"arn:aws:{service}:{region}:{account}:{resource}"

    def table(database: str) -> tuple[str, ...]:
        return arn("glue", "catalog"), arn("glue", f"database/{database}"), arn("glue", f"table/{database}/candles")

    engines = {"application": outputs["application_id"], "other application": other}
    things: dict[str, tuple[str, ...]] = {
        name: (arn("emr-serverless", f"/applications/{application}"),) for name, application in engines.items()
    }
    things |= {
        name: (arn("emr-serverless", f"/applications/{application}/jobruns/{runs[application]}"),)
        for name, application in (("run", outputs["application_id"]), ("other run", other))
    }
    things |= {f"{who} role": (role,) for who, role in outputs["roles"].items()} | {
        "stranger role": (arn("iam", "role/stranger", ""),)
    }
    things |= {
        "pipeline role to ec2": things["pipeline role"],
        "user": (arn("iam", "user/analyst-person", ""),),
        "new user": (arn("iam", "user/new", ""),),
    }
    things |= {
        name: (arn("logs", f"log-group:{group}:log-stream:driver"),)
        for name, group in (("log stream", outputs["log_group"]), ("other log stream", "other"))
    }
    things |= {"log group": (arn("logs", f"log-group:{outputs['log_group']}:log-stream:"),)}
    things |= {
        "workgroup": (arn("athena", f"workgroup/{outputs['workgroup']}"),),
        "other workgroup": (arn("athena", "workgroup/primary"),),
    }
    things |= {
        "database": table(outputs["database"])[:2],
        "table": table(outputs["database"]),
        "other table": table("other"),
    }
    things |= {f"{place} key": (key,) for place, key in keys.items()}
    things |= {
        "topic": (arn("sns", f"{NAME}-alarms"),),
        "alarm": (arn("cloudwatch", f"alarm:{NAME}-no-run-succeeded"),),
    }
    to_engine = {"iam:PassedToService": "emr-serverless.amazonaws.com"}
    context = {
        "pipeline role": to_engine,
        "analyst role": to_engine,
        "pipeline role to ec2": {"iam:PassedToService": "ec2.amazonaws.com"},
    }
    return Names(REGION, buckets, keys, things, context)


def _start_run(setup: Session, application: str, role: str) -> str:
    started = setup.client("emr-serverless").start_job_run(
        applicationId=application, executionRoleArn=role, jobDriver={"sparkSubmit": {"entryPoint": "s3://x/job.py"}}
    )
    return str(started["jobRunId"])


def _read_resource_policies(setup: Session, names: Names) -> Iterator[tuple[str, Document]]:
    for place in ("raw", "lake", "staging"):
        yield (
            f"arn:aws:s3:::{names.buckets[place]}",
            json.loads(setup.client("s3").get_bucket_policy(Bucket=names.buckets[place])["Policy"]),
        )
    for key in names.keys.values():
        yield key, json.loads(setup.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    for who in WHO:
        (role,) = names.things[f"{who} role"]
        yield role, setup.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]


@contextmanager
def enforced(cloud: Cloud) -> Iterator[dict[str, Session]]:
    """Let the server enforce what it can of the policies within the block, and yield everybody's keys.

    moto fails at conditions, so it is given what `loosen` leaves, and no bucket policies: those hold conditions alone.
    """
    iam, s3, sts = (cloud.admin.client(service) for service in ("iam", "s3", "sts"))
    sessions = {}
    for who in WHO:
        got = sts.assume_role(RoleArn=cloud.names.things[f"{who} role"][0], RoleSessionName="test")["Credentials"]
        sessions[who] = Session(cloud.admin.endpoint, got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    policies = {
        bucket: s3.get_bucket_policy(Bucket=cloud.names.buckets[bucket])["Policy"]
        for bucket in ("raw", "lake", "staging")
    }
    for who in ("pipeline", "scheduler", "analyst", "auditor"):
        iam.put_role_policy(
            RoleName=f"{NAME}-{who}", PolicyName=who, PolicyDocument=json.dumps(loosen(cloud.documents[who], JUDGED))
        )
    for bucket in policies:
        s3.delete_bucket_policy(Bucket=cloud.names.buckets[bucket])
    enforce(cloud.admin.endpoint, iam=True)
    try:
        yield sessions
    finally:
        enforce(cloud.admin.endpoint, iam=False)
        for who in ("pipeline", "scheduler", "analyst", "auditor"):
            iam.put_role_policy(
                RoleName=f"{NAME}-{who}", PolicyName=who, PolicyDocument=json.dumps(cloud.documents[who])
            )
        for bucket, policy in policies.items():
            s3.put_bucket_policy(Bucket=cloud.names.buckets[bucket], Policy=policy)
