"""`chandlery submit` against moto's EMR Serverless: what is asked of AWS, what comes back, and what ends it early."""

import json
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from aws import PATIENCE_SECONDS, REGION, ROLE, Cloud, held_back
from lakes import OWN_FEATURE
from proxy import busy_proxy

from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.submit.job import LAST_LINE

pytestmark = [pytest.mark.s3, pytest.mark.slow]


def end(running: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for the end; return exit code, stdout and stderr."""
    try:
        out, told = running.communicate(timeout=PATIENCE_SECONDS)
    finally:
        running.kill()
    return running.returncode, out, told


def hear(running: "subprocess.Popen[str]", words: str) -> str:
    """Read stderr until it says some words; return what was heard."""
    assert running.stderr is not None
    heard = ""
    while words not in heard:
        line = running.stderr.readline()
        assert line, f"it ended before it said {words!r}: {heard}"
        heard += line
    return heard


def submit_here(cloud: Cloud, command: str, lake: str, folder: Path, **settings: str) -> tuple[int, str, str]:
    """Submit a command whose job run is carried out here; return exit code, stdout and stderr."""
    running = cloud.start(command, lake, **settings)
    cloud.take().carry_out_here(folder)
    return end(running)


def test_a_run_that_goes_well(cloud: Cloud, tmp_path: Path) -> None:
    (cloud.folder / "own.py").write_text(OWN_FEATURE)
    more = 'extensions = ["own.py"]\n[engine.spark]\n"spark.executor.cores" = "4"\n"spark.master" = "yarn"\n'
    running = cloud.start("ingest", "well", more=more)
    given = cloud.take()
    options = given.options
    assert given.job.execution_role_arn == ROLE
    assert options["spark.executor.cores"] == "4"
    assert "spark.master" not in options
    archive, _, name = options["spark.archives"].rpartition("#")
    assert name == "environment"
    staging, _, path = archive.rpartition("/environments/")
    assert Store(staging, cloud.server.storage).head(f"environments/{path}") is not None
    assert {value for option, value in options.items() if "PYTHON" in option} == {"./environment/bin/python"}
    given.carry_out_here(tmp_path)
    code, out, told = end(running)
    assert code == 0, told
    assert "objects published to s3://crypto-lake/well" in out
    assert "running" in told
    assert "success" in told
    lake = read_table("s3://crypto-lake/well", "candles", options=cloud.server.storage)
    assert set(lake["symbol"].unique()) == {"BTCUSD", "ETHUSD", "XRPUSD"}
    assert Store("s3://crypto-lake/well", cloud.server.storage).head("lake.json") is not None


def test_extensions_keep_their_paths_those_of_one_series_too(cloud: Cloud, tmp_path: Path) -> None:
    (cloud.folder / "own.py").write_text(OWN_FEATURE)
    (cloud.folder / "of_series.py").write_text("import beside\n")
    (cloud.folder / "beside.py").write_text(OWN_FEATURE.replace('"range"', '"width"'))
    section = '[[series]]\nexchange = "unknown"\ninterval = "1m"\nextensions = ["own.py", "of_series.py"]\n'
    store, made = Store("s3://crypto-lake/paths", cloud.server.storage), []
    for _ in range(2):
        code, _, told = submit_here(cloud, "ingest", "paths", tmp_path, more='extensions = ["own.py"]\n' + section)
        assert code == 0, told
        made.append(store.get("lake.json"))
    (series,) = json.loads(made[0] or b"")["series"]
    names = [extension["name"] for extension in series["extensions"]]
    assert names == [str(cloud.folder / "own.py"), str(cloud.folder / "of_series.py")]
    assert made[1] == made[0]


def test_a_run_that_fails_has_the_exit_code_of_what_failed(cloud: Cloud, tmp_path: Path) -> None:
    code, _, told = submit_here(cloud, "run", "fails", tmp_path, source="s3://crypto-raw/nothing")
    assert code == 2, told
    assert "no files at s3://crypto-raw/nothing" in told
    assert "failed: the driver ended with 2" in told


def test_a_check_of_a_day_is_handed_on(cloud: Cloud, tmp_path: Path) -> None:
    code, out, told = submit_here(cloud, "check --until 2019-06-02", "well", tmp_path)
    assert code == 2, told
    assert "FAIL fresh" in out
    assert "before 2019-06-02" in out


def test_a_report_goes_into_the_lake_as_a_page(cloud: Cloud, tmp_path: Path) -> None:
    code, out, told = submit_here(cloud, "report", "well", tmp_path)
    assert code == 0, told
    assert "wrote s3://crypto-lake/well/reports/report.html" in out
    page = boto3.client("s3", region_name=REGION, endpoint_url=cloud.server.endpoint).get_object(
        Bucket="crypto-lake", Key="well/reports/report.html"
    )
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert b"XRPUSD" in page["Body"].read()


def test_a_run_that_aws_ends_is_worth_trying_again(cloud: Cloud) -> None:
    running = cloud.start("run", "lost")
    cloud.take().end("FAILED", "no capacity")
    code, _, told = end(running)
    assert code == 5, told
    assert "ended as FAILED before it had an exit code: no capacity" in told
    assert "Traceback" not in told


def test_lines_that_come_after_the_end_are_shown(cloud: Cloud) -> None:
    running = cloud.start("run", "late")
    given = cloud.take()
    given.log("STDERR", "before the end")
    given.leave(b"2")
    given.end("FAILED", "exit code 2")
    heard = hear(running, "failed: exit code 2")
    given.log("STDERR", f"what was wrong\n{LAST_LINE}")
    code, _, told = end(running)
    assert code == 2, told
    assert "before the end" in heard
    assert told.splitlines() == ["what was wrong"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_it(cloud: Cloud, number: signal.Signals) -> None:
    running = cloud.start("run", f"cancelled-{number}")
    given = cloud.take()
    hear(running, "running")
    running.send_signal(number)
    code, _, told = end(running)
    assert code == 128 + number, told
    assert "cancelled" in told
    assert given.job.state == "CANCELLED"


def test_interrupts_that_come_twice_cancel_it_too(cloud: Cloud) -> None:
    running = cloud.start("run", "twice")
    given = cloud.take()
    hear(running, "running")
    running.send_signal(signal.SIGTERM)
    running.send_signal(signal.SIGTERM)
    code, _, told = end(running)
    assert code == 128 + signal.SIGTERM, told
    assert given.job.state == "CANCELLED"


def test_an_interrupt_while_it_is_started_cancels_it(cloud: Cloud) -> None:
    with held_back("start_job_run") as (came, go_on):
        running = cloud.start("run", "early")
        assert came.wait(PATIENCE_SECONDS)
        running.send_signal(signal.SIGTERM)
        go_on.set()
        code, _, told = end(running)
    assert code == 128 + signal.SIGTERM, told
    assert cloud.jobs()[-1].state == "CANCELLED"


def test_nobody_who_reads_the_lines_cancels_it(cloud: Cloud) -> None:
    running = cloud.start("run", "unheard")
    given = cloud.take()
    assert running.stdout is not None
    running.stdout.close()
    given.log("STDOUT", "a line")
    running.wait(PATIENCE_SECONDS)
    assert given.job.state == "CANCELLED"
    assert running.stderr is not None
    running.stderr.close()


def test_an_exit_code_that_is_none(cloud: Cloud) -> None:
    running = cloud.start("run", "garbled")
    given = cloud.take()
    given.leave(b"\xffbad")
    given.end("FAILED")
    code, _, told = end(running)
    assert code == 5, told
    assert "exit_code holds b'\\xffbad'; expected an exit code" in told


def test_a_log_group_that_is_not_there_is_told_and_a_role_that_is_none(cloud: Cloud) -> None:
    running = cloud.start("ingest", "unlogged", submit={"log_group": "/nope"})
    given = cloud.take()
    hear(running, "the log cannot be read yet: log group /nope")
    given.leave(b"0")
    given.end("SUCCESS")
    assert end(running)[0] == 0
    code, _, told = end(cloud.start("ingest", "unlogged", submit={"role_arn": "pipeline"}))
    assert code == 2, told
    assert "executionRoleArn" in told


def test_aws_throttles(cloud: Cloud) -> None:
    with busy_proxy(
        cloud.endpoint,
        2,
        every=3,
        codes=(429, 503),
        body=b'{"__type": "ThrottlingException", "message": "Rate exceeded"}',
    ) as endpoint:
        running = cloud.start("run", "throttled", endpoint=endpoint)
        given = cloud.take()
        given.leave(b"3")
        given.end("FAILED", "exit code 3")
        code, _, told = end(running)
    assert code == 3, told
    assert (
        len(
            [
                job
                for job in cloud.client("emr-serverless").list_job_runs(applicationId=cloud.application)["jobRuns"]
                if job["name"] == given.job.name
            ]
        )
        == 1
    )


@pytest.mark.parametrize(
    ("command", "source", "said"),
    [
        ("plan", "s3://crypto-raw/plain", "command 'plan'; expected one of run, ingest, forecast, check, report"),
        ("check --prune", "s3://crypto-raw/plain", "--prune with check; expected of --until, --json"),
        (
            "report --output report.html",
            "s3://crypto-raw/plain",
            "--output 'report.html'; expected s3://…, which containers of AWS can reach",
        ),
        ("run", "raw/", "[source] uri 'raw/'; expected s3://…, which containers of AWS can reach"),
    ],
)
def test_what_makes_no_sense_elsewhere_is_told(cloud: Cloud, command: str, source: str, said: str) -> None:
    code, _, told = end(cloud.start(command, "odd", source=source))
    assert code == 2, told
    assert said in told


def test_no_such_application(cloud: Cloud) -> None:
    code, _, told = end(replace(cloud, application="00none").start("run", "nowhere"))
    assert code == 2, told
    assert "application 00none in us-east-1: ResourceNotFoundException" in told
    assert "packing" not in told
