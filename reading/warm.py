"""`python -m reading.warm`: have numba compile what reads KCL's lines and records ahead of a child's first batch, and keep it."""

from __future__ import annotations

import base64
import json
import sys
import time

import numpy as np

from contract.codec import encode
from contract.event import Event, Heartbeat
from reading.lines import Reader
from reading.scanner import EVENT, HEARTBEAT, Bare, Scanner

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


def scan() -> None:
    """Records of both formats, to columns."""
    document = {"k": 1, "n": 1.5, "at": 1}
    message = Event("1/k", "t", "k", "insert", 1, 1, 1, 1, document)
    for bare, lines in ((None, [encode(message), encode(Heartbeat(1))]), (Bare(0, "at"), [json.dumps(document).encode()])):
        data = b"".join(line + b"\n" for line in lines)
        places = np.cumsum([0, *(len(line) + 1 for line in lines)])
        found = Scanner({("t", "k"): [("n", "number"), ("k", "value")]}, bare).read(data, places)
        assert found.kind.tolist() == [EVENT, HEARTBEAT][: len(lines)]


def warm() -> float:
    """Seconds that it took."""
    begin = time.perf_counter()
    scan()
    batch = Reader().read(line(3).encode())
    assert batch is not None
    assert batch.datas() == [b'{"n": %d}' % i for i in range(3)]
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(f"records can be read after {warm():.1f} s", file=sys.stderr)
