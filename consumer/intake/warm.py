"""`python -m consumer.intake.warm`: have numba compile what reads KCL's lines and records ahead of a first batch, and keep it."""

from __future__ import annotations

import base64
import json
import sys
import time
from typing import Literal

from config.specs import Pipeline, Stream, Trigger
from consumer.intake.in_place import Reader as InPlace
from consumer.intake.records import Raw
from contract.codec import encode
from contract.event import Event, Heartbeat
from reading.lines import Reader
from windows.engine import CHANGE, TIME
from windows.law.spec import Measure, Tumbling, WindowSet

MANY = 3_000  # records, for which tables of spellings have to grow
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
    """Records of both formats, to batches."""
    document = {"k": 1, "n": 1.5, "v": "a", "at": 1}
    message = Event("1/k", "t", "k", "insert", 1, 1, 1, 1, document)
    events, documents = [encode(message), encode(Heartbeat(1))], [json.dumps(document).encode()]
    formats: tuple[tuple[Literal["event", "document"], list[bytes]], ...] = (("event", events), ("document", documents))
    for format, data in formats:
        trigger = Trigger("t", "d", "c", ("k",), time="at")
        measures = (Measure("n", "sum", "n"), Measure("v", "distinct", "v"))
        spec = Pipeline(Stream("s", format=format), (trigger,), (WindowSet("w", "t", "k", Tumbling(60_000), measures),))
        for modelled in ((), (("t", "k"),)):
            batch = InPlace(spec, modelled).read([Raw(line, None, n) for n, line in enumerate(data)])
            assert batch.columns.kind.tolist() == [CHANGE, TIME][: len(data)]
        many = InPlace(spec).read([Raw(data[0], None, n) for n in range(MANY)])
        assert many.columns.n == MANY


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
