"""Files to columns for the benchmarks, by the consumer's own reading: consumer.intake, and KCL's lines by consumer.kcl.channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from config.specs import Pipeline, Stream, Trigger
from consumer.intake.in_place import Reader
from consumer.intake.records import UNKNOWN, Raw, Records
from reading.scanner import lines
from windows.engine import CHANGE, TIME, Columns, Ints
from windows.law.spec import WindowSet, streams

BLOCK = 1 << 20


class Lines(Records):
    """Records of which nobody knows when they arrived, nor where in a stream they lie."""

    def __init__(self, data: bytes, places: Ints) -> None:
        self.data, self.places, self.format = data, places, "stream"

    @property
    def arrived(self) -> Ints:
        return np.full(len(self), UNKNOWN)

    def raw(self, i: int) -> Raw:
        return Raw(self.bytes_of(i), None, i)

    def rest(self, first: int) -> Records:
        raise NotImplementedError("a benchmark reads everything once")


def reader(sets: Sequence[WindowSet], bare: bool) -> Reader:
    """What reads records for these sets. Bare documents have their time in `ts`."""
    routes = tuple(dict.fromkeys(key for _, key in streams(sets)))
    trigger = Trigger("payments", "shop", "payments", routes[:1] if bare else routes, time="ts")
    return Reader(Pipeline(Stream("bench", format="document" if bare else "event"), (trigger,), tuple(sets)))


def columns(reader: Reader, records: Records) -> Columns:
    """A batch for the engine. Every record of the workload is plain; one that is not would show here."""
    batch = reader.read(records)
    kinds = batch.columns.kind.tobytes()
    if kinds.count(CHANGE) + kinds.count(TIME) < batch.n or batch.rejected or batch.events:
        raise RuntimeError("a record of the workload was not read in place")
    return batch.columns


def slices(path: Path, size: int, most: int) -> Iterator[tuple[bytes, Ints]]:
    """(bytes, places) of batches of lines; reading is lazy, so that it is measured."""
    with path.open("rb", buffering=0) as file:
        rest = b""
        while most > 0 and (block := file.read(BLOCK)):
            data = rest + block
            places = lines(data)
            whole = (len(places) - 1) // size * size
            ends = [min(a + size, most) for a in range(0, min(whole, most), size)]
            a, begin = 0, 0
            for b, end in zip(ends, places[ends].tolist(), strict=True):
                yield data[begin:end], places[a : b + 1] - begin
                a, begin = b, end
            most -= whole
            rest = data[places[whole] :]
        if rest and most > 0:
            places = lines(rest)[: most + 1]
            yield rest[: places[-1]], places
