"""Flink SQL over the same file: `python flink_sql.py FILE w123` prints the job's seconds. Runs in .venv-peers, needs Java 17+."""

from __future__ import annotations

import json
import os
import sys
import time

import psutil
from pyflink.table import EnvironmentSettings, TableEnvironment

SETTINGS = {
    "parallelism.default": "1",
    "table.exec.resource.default-parallelism": "1",
    "taskmanager.numberOfTaskSlots": "1",
    "pipeline.object-reuse": "true",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "5000",
    "table.local-time-zone": "UTC",
    "taskmanager.memory.network.max": "128mb",
    "taskmanager.memory.network.min": "128mb",
    "state.backend.type": "hashmap",
}
SOURCE = """CREATE TABLE ev (card_id STRING, merchant STRING, amount DOUBLE, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
    WATERMARK FOR rt AS rt - INTERVAL '30' SECOND) WITH ('connector' = 'filesystem', 'path' = 'file://{path}', 'format' = 'json')"""
SINKS = {
    "1": "card_id STRING, we TIMESTAMP(3), c BIGINT, s DOUBLE, x DOUBLE",
    "2": "card_id STRING, we TIMESTAMP(3), c BIGINT, s DOUBLE, x DOUBLE",
    "3": "card_id STRING, ts BIGINT, c BIGINT, s DOUBLE, m DOUBLE, sd DOUBLE, d BIGINT",
}
QUERIES = {
    "1": """INSERT INTO s1 SELECT card_id, window_end, COUNT(*), SUM(amount), MAX(amount)
        FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(rt), INTERVAL '1' MINUTES)) GROUP BY card_id, window_start, window_end""",
    "2": """INSERT INTO s2 SELECT card_id, window_end, COUNT(*), SUM(amount), AVG(amount)
        FROM TABLE(HOP(TABLE ev, DESCRIPTOR(rt), INTERVAL '1' MINUTES, INTERVAL '10' MINUTES))
        GROUP BY card_id, window_start, window_end""",
    "3": """INSERT INTO s3 SELECT card_id, ts, COUNT(*) OVER w, SUM(amount) OVER w, AVG(amount) OVER w, STDDEV_SAMP(amount) OVER w,
        COUNT(DISTINCT merchant) OVER w FROM ev WINDOW w AS (PARTITION BY card_id ORDER BY rt
        RANGE BETWEEN INTERVAL '599.999' SECOND(3) PRECEDING AND CURRENT ROW)""",
}


def java_seconds() -> float:
    """CPU seconds of the JVM below this process."""
    found = [p.cpu_times() for p in psutil.Process().children(recursive=True) if "java" in p.name()]
    return sum(t.user + t.system for t in found)


def main(path: str, what: str) -> None:
    """Runs the statements as one job, into sinks that drop everything."""
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for name, value in SETTINGS.items():
        tables.get_config().set(name, value)
    tables.execute_sql(SOURCE.format(path=os.path.abspath(path)))
    job = tables.create_statement_set()
    for digit in what.removeprefix("w"):
        tables.execute_sql(f"CREATE TABLE s{digit} ({SINKS[digit]}) WITH ('connector' = 'blackhole')")
        job.add_insert_sql(QUERIES[digit])
    wall, cpu = time.perf_counter(), java_seconds()
    job.execute().wait()
    print(json.dumps({"seconds": time.perf_counter() - wall, "cpu": java_seconds() - cpu}), flush=True)
    os._exit(0)  # the gateway's threads would keep the process alive


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
