"""`python -m consumer.warm`: have numba compile what reads KCL's lines, ahead of a child's first batch, and keep it on disk."""

from __future__ import annotations

import base64
import io
import json
import sys
import time

from consumer.protocol import FastIO

FIRST = 49590338271490256608559692538361571095921575989136588898  # a sequence number as Kinesis writes them


def line(n: int) -> str:
    """A line of n records, as KCL writes it."""
    records = [
        {
            "action": "record",
            "data": base64.b64encode(b'{"n": %d}' % i).decode(),
            "partitionKey": f"k{i}",
            "sequenceNumber": str(FIRST + i),
            "subSequenceNumber": 0,
            "approximateArrivalTimestamp": 1_767_225_600_000 + i,
        }
        for i in range(n)
    ]
    return json.dumps({"action": "processRecords", "records": records, "millisBehindLatest": 0}, separators=(",", ":"))


def warm() -> float:
    """Seconds that it took."""
    begin = time.perf_counter()
    action = FastIO(io.StringIO(), io.StringIO(), io.StringIO()).load_action(line(3))
    assert [r.binary_data for r in action.records] == [b'{"n": %d}' % i for i in range(3)]
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(f"KCL's lines can be read after {warm():.1f} s", file=sys.stderr)
