"""The archive that a job takes along: it works on a Spark cluster, in a folder and an environment that have nothing
else of ours.
"""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from aws import REGION, Cloud
from lakes import OWN_FEATURE, digests, run_lake
from spark_cluster import spark_cluster, spark_home
from test_submit import end

from chandlery.lake.store import Store

pytestmark = [pytest.mark.spark, pytest.mark.s3, pytest.mark.slow, pytest.mark.full]

LAKE = "s3://crypto-lake/archive"


def test_the_archive_of_a_job_runs_on_a_cluster_that_has_nothing_of_ours(cloud: Cloud, tmp_path: Path) -> None:
    (cloud.folder / "own.py").write_text(OWN_FEATURE)
    settings = {"more": 'extensions = ["own.py"]\n', "catalog": cloud.make_database("archive", LAKE)}
    running = cloud.start("run", "archive", **settings)
    given = cloud.take()
    place = tmp_path / "container"
    place.mkdir()
    archive = given.fetch(given.options["spark.archives"].rpartition("#")[0], place)
    with tarfile.open(archive) as packed:
        packed.extractall(place / "environment", filter="tar")
    bare = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_GLUE": cloud.endpoint,
        **cloud.server.admin,
    }
    found = subprocess.run(
        ["./environment/bin/python", "-c", "import chandlery; print(chandlery.__file__)"],
        cwd=place,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.startswith(str(place)), found.stderr
    python = {
        "PYSPARK_DRIVER_PYTHON": "./environment/bin/python",
        "PYSPARK_PYTHON": "./environment/bin/python",
        "SPARK_HOME": str(spark_home()),
    }
    with spark_cluster(
        tmp_path / "cluster", {**cloud.server.admin, "PYSPARK_PYTHON": "./environment/bin/python"}
    ) as cluster:
        options = {**cluster.options, **given.options, "spark.archives": f"{archive}#environment"}
        command = [
            str(spark_home() / "bin" / "spark-submit"),
            *(word for name, value in options.items() for word in ("--conf", f"{name}={value}")),
        ]
        given.bring_entry(place).carry_out(command, {**bare, **python}, place)
        code, out, told = end(running)
        assert code == 0, told
        assert f"objects published to {LAKE}" in out
        made = digests(LAKE, cloud.server.storage)
        running = cloud.start("report", "archive", **settings)
        cloud.take().bring_entry(place).carry_out(command, {**bare, **python}, place)
        code, out, told = end(running)
        assert code == 0, told
    assert b"XRPUSD" in (Store(LAKE, cloud.server.storage).get("reports/report.html") or b"")
    assert (
        cloud.client("glue").get_table(DatabaseName="archive", Name="candles")["Table"]["Parameters"][
            "projection.symbol.values"
        ]
        == "BTCUSD,ETHUSD,XRPUSD"
    )
    extension = str(cloud.folder / "own.py")  # lake.json has the path that the settings name
    run_lake("s3://crypto-raw/plain", tmp_path / "lake", storage=cloud.server.storage, extensions=[extension])
    assert made == digests(tmp_path / "lake")
