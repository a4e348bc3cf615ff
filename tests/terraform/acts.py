"""What a cell of the tables says, done against the server with somebody's own keys."""

import json
import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from cloud import Cloud
from moto_aws import Session
from rights import ROOM, Cell

from chandlery.lake.glue import project_values

REFUSED = re.compile(r"\bAccessDenied(Exception)?\b")  # the code, or in XML where the client expects JSON
FAULT = 500
Act = Callable[[], object]


def allow(action: str, resource: str, **more: str) -> str:
    """Return a policy that allows one thing, as JSON."""
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]}
    )


def try_cell(cloud: Cloud, session: Session, cell: Cell) -> bool | None:
    """Return whether the server let somebody do what a cell says; None where it cannot tell.

    It has no call for some, and takes the signature of a request without a body for forged, but for those to S3.

    Raises:
        ClientError: It let them, and then had a fault.
    """
    act = find_act(cloud, session, cell)
    if act is None:
        return None
    try:
        act()
    except ClientError as error:
        if REFUSED.search(str(error)):
            return False
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= FAULT or "/" in cell.where:
            raise
        if "SignatureDoesNotMatch" in str(error):
            return None
    return True


def find_act(cloud: Cloud, session: Session, cell: Cell) -> Act | None:
    """Return what to do for a cell."""
    if "/" in cell.where:
        return lambda: _use_object(cloud, session, cell)
    if cell.where in cloud.names.buckets:
        return _change(cloud, session, cell)
    return _use_service(cloud, session, cell)


def _use_object(cloud: Cloud, session: Session, cell: Cell) -> None:
    (bucket, prefix), key = cloud.names.split(cell.where), cloud.names.key_of(cell.where)
    s3 = session.client("s3")
    cloud.admin.client("s3").put_object(Bucket=bucket, Key=key, Body=b"as it was")
    if cell.verb == "get":
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"as it was"
    elif cell.verb == "put":
        s3.put_object(Bucket=bucket, Key=key, Body=b"new")
    elif cell.verb == "delete":
        s3.delete_object(Bucket=bucket, Key=key)
    elif cell.verb == "list":
        assert s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"]
    elif cell.verb == "multipart":
        _upload_parts(s3, bucket, key)
    else:
        room, folder = cloud.names.split(ROOM[cell.who] if cell.verb == "take" else cell.where)
        target = f"{folder}copy" if cell.verb == "take" or prefix.endswith("/") else key
        s3.copy_object(Bucket=room, Key=target, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="REPLACE")


def _upload_parts(s3: Any, bucket: str, key: str) -> None:
    """Upload an object of one part, and give another upload up."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    another = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=another)


def _change(cloud: Cloud, session: Session, cell: Cell) -> Act:
    bucket, key = cloud.names.buckets[cell.where], cloud.names.keys[cell.where]
    s3, kms = session.client("s3"), session.client("kms")
    days = {"Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]}
    plain = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    acts: dict[str, Act] = {
        "s3:PutBucketPolicy": lambda: s3.put_bucket_policy(
            Bucket=bucket, Policy=allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal="*")
        ),
        "s3:DeleteBucketPolicy": lambda: s3.delete_bucket_policy(Bucket=bucket),
        "s3:PutLifecycleConfiguration": lambda: s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration=days
        ),
        "s3:PutBucketVersioning": lambda: s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
        "s3:PutEncryptionConfiguration": lambda: s3.put_bucket_encryption(
            Bucket=bucket, ServerSideEncryptionConfiguration=plain
        ),
        "s3:PutBucketPublicAccessBlock": lambda: s3.delete_public_access_block(Bucket=bucket),
        "s3:DeleteBucket": lambda: s3.delete_bucket(Bucket=bucket),
        "kms:PutKeyPolicy": lambda: kms.put_key_policy(
            KeyId=key, PolicyName="default", Policy=allow("kms:*", "*", Principal="*")
        ),
        "kms:CreateGrant": lambda: kms.create_grant(
            KeyId=key, GranteePrincipal=cloud.names.things[f"{cell.who} role"][0], Operations=["Decrypt"]
        ),
        "kms:DisableKey": lambda: kms.disable_key(KeyId=key),
        "kms:ScheduleKeyDeletion": lambda: kms.schedule_key_deletion(KeyId=key),
        "kms:DisableKeyRotation": lambda: kms.disable_key_rotation(KeyId=key),
    }
    return acts[cell.verb]


def _use_service(cloud: Cloud, session: Session, cell: Cell) -> Act | None:
    """Return the call of a row of services.csv; none for what moto has no call of (to pass a role is no call of its
    own).
    """
    service, _, action = cell.verb.partition(":")
    if action == "PassRole":
        return None
    thing = cloud.names.things[f"{cell.who} role" if cell.where == "own role" else cell.where][-1]
    groups = {"emr-serverless": _runs, "glue": _tables, "iam": _roles}
    return groups.get(service, _others)(cloud, session.client(service), thing)[action]


def _runs(cloud: Cloud, client: Any, thing: str) -> dict[str, Act]:
    application, run = thing.split("/")[2], thing.rpartition("/")[2]
    return {
        "StartJobRun": lambda: client.start_job_run(
            applicationId=application,
            executionRoleArn=cloud.names.things["pipeline role"][0],
            jobDriver={"sparkSubmit": {"entryPoint": "s3://x/job.py"}},
        ),
        "GetApplication": lambda: client.get_application(applicationId=application),
        "StartApplication": lambda: client.start_application(applicationId=application),
        "StopApplication": lambda: client.stop_application(applicationId=application),
        "UpdateApplication": lambda: client.update_application(applicationId=application),
        "DeleteApplication": lambda: client.delete_application(applicationId=application),
        "ListJobRuns": lambda: client.list_job_runs(applicationId=application),
        "GetJobRun": lambda: client.get_job_run(applicationId=application, jobRunId=run),
        "CancelJobRun": lambda: client.cancel_job_run(applicationId=application, jobRunId=run),
    }


def _tables(cloud: Cloud, client: Any, thing: str) -> dict[str, Act]:
    database, table = thing.split("/")[1], thing.rpartition("/")[2]
    partition = {"Values": ["bitfinex", "NEWUSD", "2019"], "StorageDescriptor": {"Location": "s3://x/"}}
    return {
        "GetDatabase": lambda: client.get_database(Name=database),
        "GetTable": lambda: client.get_table(DatabaseName=database, Name=table),
        "GetPartitions": lambda: client.get_partitions(DatabaseName=database, TableName=table),
        "BatchCreatePartition": lambda: client.batch_create_partition(
            DatabaseName=database, TableName=table, PartitionInputList=[partition]
        ),
        "UpdateTable": lambda: add_symbol(cloud, client, database),
        "DeleteTable": lambda: client.delete_table(DatabaseName=database, Name=table),
        "DeleteDatabase": lambda: client.delete_database(Name=database),
    }


def _roles(_: Cloud, client: Any, thing: str) -> dict[str, Act]:
    name = thing.rpartition("/")[2]
    return {
        "PutRolePolicy": lambda: client.put_role_policy(
            RoleName=name, PolicyName="more", PolicyDocument=allow("*", "*")
        ),
        "UpdateAssumeRolePolicy": lambda: client.update_assume_role_policy(
            RoleName=name, PolicyDocument=allow("*", "*")
        ),
        "AttachRolePolicy": lambda: client.attach_role_policy(
            RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
        "CreateUser": lambda: client.create_user(UserName=name),
        "CreateAccessKey": lambda: client.create_access_key(UserName=name),
    }


def _others(cloud: Cloud, client: Any, thing: str) -> dict[str, Act]:
    last, group = thing.rpartition("/")[2], (*thing.split(":"), "")[6]
    return {
        "GetLogEvents": lambda: client.get_log_events(logGroupName=group, logStreamName="driver"),
        "FilterLogEvents": lambda: client.filter_log_events(logGroupName=group),
        "PutLogEvents": lambda: client.put_log_events(
            logGroupName=group, logStreamName="driver", logEvents=[{"timestamp": 0, "message": "x"}]
        ),
        "DeleteLogGroup": lambda: client.delete_log_group(logGroupName=group),
        "StartQueryExecution": lambda: client.start_query_execution(QueryString="SELECT 1", WorkGroup=last),
        "GetQueryResults": lambda: client.get_query_results(QueryExecutionId="00000000-0000-0000-0000-000000000000"),
        "UpdateWorkGroup": lambda: client.update_work_group(WorkGroup=last, Description="mine"),
        "AssumeRole": lambda: client.assume_role(RoleArn=thing, RoleSessionName="more"),
        "Decrypt": lambda: client.decrypt(
            CiphertextBlob=cloud.admin.client("kms").encrypt(KeyId=thing, Plaintext=b"x")["CiphertextBlob"]
        ),
        "Unsubscribe": lambda: client.unsubscribe(SubscriptionArn=f"{thing}:00000000-0000-0000-0000-000000000000"),
        "DeleteAlarms": lambda: client.delete_alarms(AlarmNames=[thing.rpartition(":")[2]]),
    }


def add_symbol(cloud: Cloud, client: Any, database: str) -> None:
    """Do as chandlery does after a run with a new symbol: read the table, change one parameter, put it back."""
    table = cloud.admin.client("glue").get_table(DatabaseName=database, Name="candles")["Table"]
    known = table["Parameters"]["projection.symbol.values"].split(",")
    symbols = {*known, f"ADA{len(known)}USD", "NEWUSD"}  # one that nobody has added before
    project_values(
        client, database, table, [{"exchange": "bitfinex", "interval": "1m", "symbol": symbol} for symbol in symbols]
    )
