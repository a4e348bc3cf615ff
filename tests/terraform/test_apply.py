"""The example, applied to moto: what is there then, and that a second apply changes nothing."""

import json

import pytest
from acts import add_symbol
from cloud import NAME, Cloud

from chandlery.schema import TABLES

pytestmark = [pytest.mark.slow, pytest.mark.full]


@pytest.fixture(scope="module", autouse=True)
def whole(cloud: Cloud) -> None:
    cloud.terraform.run("apply", "-auto-approve", "-no-color")


@pytest.mark.parametrize("place", ["raw", "lake", "staging"])
def test_buckets_are_private_encrypted_and_versioned(cloud: Cloud, place: str) -> None:
    s3, bucket = cloud.admin.client("s3"), cloud.names.buckets[place]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": cloud.names.keys[place],
    }
    assert rule["BucketKeyEnabled"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "BucketOwnerEnforced"}
    ]
    assert cloud.admin.client("kms").get_key_rotation_status(KeyId=cloud.names.keys[place])["KeyRotationEnabled"]


def test_old_versions_and_left_overs_are_dropped(cloud: Cloud) -> None:
    s3, expected = (
        cloud.admin.client("s3"),
        {"raw": (30, {}), "lake": (14, {}), "staging": (1, {"logs/": 30, "tmp/": 7, "athena/": 7})},
    )
    for place, (days, prefixes) in expected.items():
        rules = s3.get_bucket_lifecycle_configuration(Bucket=cloud.names.buckets[place])["Rules"]
        assert [
            rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
            for rule in rules
            if "NoncurrentVersionExpiration" in rule
        ] == [days]
        assert {
            rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules if rule["ID"].startswith("expire-")
        } == prefixes
        assert all(rule["Status"] == "Enabled" for rule in rules)


def test_glue_knows_every_table_and_athena_its_partitions(cloud: Cloud) -> None:
    glue, database = cloud.admin.client("glue"), cloud.terraform.read_outputs()["database"]
    tables = {table["Name"]: table for table in glue.get_tables(DatabaseName=database)["TableList"]}
    assert set(tables) == set(TABLES)
    for name, declared in TABLES.items():
        table = tables[name]
        assert tuple(key["Name"] for key in table["PartitionKeys"]) == declared.partitions
        assert table["StorageDescriptor"]["Location"] == f"s3://{cloud.names.buckets['lake']}/{name}/"
        projected = {
            setting.split(".")[1]
            for setting in table["Parameters"]
            if setting.startswith("projection.") and setting.endswith(".type")
        }
        assert projected == set(declared.partitions)
    assert (
        tables["forecasts"]["Parameters"]
        | {
            "projection.horizon_minutes.type": "integer",
            "projection.horizon_minutes.range": "30,240",
            "projection.horizon_minutes.interval": "30",
        }
        == tables["forecasts"]["Parameters"]
    )


def test_athena_bounds_a_query_and_keeps_results_encrypted(cloud: Cloud) -> None:
    found = cloud.admin.client("athena").get_work_group(WorkGroup=cloud.terraform.read_outputs()["workgroup"])[
        "WorkGroup"
    ]["Configuration"]
    assert found["EnforceWorkGroupConfiguration"]
    assert found["BytesScannedCutoffPerQuery"] == 50 * 1024**3
    assert found["ResultConfiguration"]["OutputLocation"] == f"s3://{cloud.names.buckets['staging']}/athena/"
    assert found["ResultConfiguration"]["EncryptionConfiguration"] == {
        "EncryptionOption": "SSE_KMS",
        "KmsKey": cloud.names.keys["staging"],
    }


def test_the_engine_is_bounded_and_stops(cloud: Cloud) -> None:
    found = cloud.admin.client("emr-serverless").get_application(
        applicationId=cloud.terraform.read_outputs()["application_id"]
    )["application"]
    assert found["releaseLabel"] == "emr-7.12.0"
    assert found["maximumCapacity"] == {"cpu": "32 vCPU", "memory": "256 GB", "disk": "400 GB"}
    assert found["autoStopConfiguration"] == {"enabled": True, "idleTimeoutMinutes": 5}


def test_somebody_is_told_of_failures_and_of_quiet(cloud: Cloud) -> None:
    events, application = cloud.admin.client("events"), cloud.terraform.read_outputs()["application_id"]
    pattern = json.loads(events.describe_rule(Name=f"{NAME}-run-failed")["EventPattern"])
    assert pattern == {
        "source": ["aws.emr-serverless"],
        "detail-type": ["EMR Serverless Job Run State Change"],
        "detail": {"applicationId": [application], "state": ["FAILED", "CANCELLED"]},
    }
    (target,) = events.list_targets_by_rule(Rule=f"{NAME}-run-failed")["Targets"]
    topic = cloud.names.things["topic"][0]
    assert target["Arn"] == topic
    (alarm,) = cloud.admin.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": f"{NAME}-run-succeeded"}]
    assert (alarm["TreatMissingData"], alarm["AlarmActions"], alarm["Period"] * alarm["EvaluationPeriods"]) == (
        "breaching",
        [topic],
        25 * 3600,
    )
    assert events.list_targets_by_rule(Rule=f"{NAME}-run-succeeded")["Targets"]
    assert [
        entry["Protocol"]
        for entry in cloud.admin.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    ] == ["email"]


def test_applying_again_changes_nothing_also_after_a_run_with_a_new_symbol(cloud: Cloud) -> None:
    glue, database = cloud.admin.client("glue"), cloud.terraform.read_outputs()["database"]
    add_symbol(cloud, glue, database)
    cloud.terraform.run("plan", "-out=again", "-no-color")
    changes = [
        change
        for change in json.loads(cloud.terraform.run("show", "-json", "again").stdout)["resource_changes"]
        if change["change"]["actions"] != ["no-op"]
    ]
    differing = {
        (change["address"], name)
        for change in changes
        for name, value in change["change"]["after"].items()
        if change["change"]["before"][name] != value
    }
    assert differing == {("module.engine.aws_emrserverless_application.this", "architecture")}, "moto forgets that one"
    assert glue.get_table(DatabaseName=database, Name="candles")["Table"]["Parameters"][
        "projection.symbol.values"
    ].endswith("NEWUSD")
