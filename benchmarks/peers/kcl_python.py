"""From MultiLang lines to windows as one would write it: amazon_kclpy, json, and the prototype in pure Python."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from amazon_kclpy import dispatch

from benchmarks.peers.pure import Engine


def main(path: str) -> None:
    """Prints the rate over a file of lines."""
    engine, n, nothing = Engine(), 0, list[Any]()
    wall, cpu = time.perf_counter(), time.process_time()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            records = json.loads(line, object_hook=dispatch.message_decode).records
            documents = [json.loads(record.binary_data) for record in records]
            engine.process([(d["card_id"], d["merchant"], d["amount"], d["ts"]) for d in documents], [], [], [])
            n += len(records)
    engine.finish(nothing, nothing)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"n": n, "seconds": wall, "cpu": cpu}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
