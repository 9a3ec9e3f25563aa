"""Files to columns for the benchmarks, by the product's own reading: reading.scanner, and KCL's lines by consumer.kcl.channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from reading.scanner import EVENT, HEARTBEAT, Bare, Scanned, Scanner, lines
from windows.columnar.codes import Codes
from windows.engine import BY_EVENT, BY_HEARTBEAT, CHANGE, TIME, Bools, Columns, Ints
from windows.law.expr import merge_fields
from windows.law.spec import WindowSet, streams

BLOCK = 1 << 20
SETTLE = 5_000
assert (EVENT, HEARTBEAT, BY_EVENT, BY_HEARTBEAT) == (CHANGE, TIME, False, True)  # so kinds and causes are taken as they come


def scanner(sets: Sequence[WindowSet], bare: bool) -> Scanner:
    """What reads records for these sets. Bare documents have their time in `ts`."""
    needs: dict[Any, list[Any]] = {}
    for pair in streams(sets):
        fields = merge_fields(s.fields() for s in sets if (s.trigger, s.key) == pair)
        needs[pair] = [(path, kind) for path, kinds in fields.items() for kind in sorted(kinds)]
    return Scanner(needs, Bare(0, "ts") if bare else None)


@cache
def nothing(n: int) -> Bools:
    """No truth in so many rows; nobody writes there."""
    return np.zeros(n, np.bool_)


def columns(scanned: Scanned) -> Columns:
    """A batch for the engine. Every record of the workload is plain; one that is not would show here."""
    kind, mark, cause = scanned.kind, scanned.at, nothing(scanned.n).view(np.int8)
    if kind.tobytes().count(EVENT) < scanned.n:
        beat = kind == HEARTBEAT
        mark, cause = np.where(beat, scanned.cluster - SETTLE, mark), beat.view(np.int8)
        if not kind.all():
            raise RuntimeError("a record of the workload was not read in place")
    return Columns(
        n=scanned.n,
        kind=kind,
        cause=cause,
        mark=mark,
        stream=scanned.pair,
        key=scanned.key,
        keys=scanned.keys,
        at=scanned.at,
        old_at=scanned.at,
        put=scanned.document,
        take=nothing(scanned.n),
        doc=None,
        number=scanned.number,
        flag=scanned.flag,
        value={path: Codes(codes, scanned.table) for path, codes in scanned.value.items()},
    )


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
