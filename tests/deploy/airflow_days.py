"""Runs days of the DAG with `dag.test()`, in Airflow's own environment: a line of JSON in, a line of JSON out,
Airflow's log between them.
"""

import datetime as dt
import json
import os
import sys

from airflow import settings
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from sqlalchemy import func, select

DAG_ID = "chandlery_daily"
ANSWER = "answer: "


def main() -> None:
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    dag = bag.dags.get(DAG_ID)
    tell({"errors": bag.import_errors, "tasks": [task.task_id for task in dag.topological_sort()] if dag else []})
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.update(asked["variables"])
        before = count_events()
        run = dag.test(logical_date=dt.datetime.fromisoformat(asked["moment"]))
        tell(
            {
                "state": run.state,
                "tasks": {found.task_id: [found.state, found.try_number] for found in run.get_task_instances()},
                "events": count_events() - before,
            }
        )


def count_events() -> int:
    with settings.Session() as session:
        return session.scalar(select(func.count()).select_from(AssetEvent))


def tell(content: dict[str, object]) -> None:
    print(f"\n{ANSWER}{json.dumps(content)}", flush=True)


if __name__ == "__main__":
    main()
