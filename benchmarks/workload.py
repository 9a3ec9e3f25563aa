"""The workload: card payments, 200 a second of event time, 2 % of them late by up to 30 s; always the same for the same size.

Files are made once and kept under .bench/. One line is about 120 bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from contract.codec import encode, pack
from contract.event import Event

KEPT = Path(__file__).parents[1] / ".bench"
T0 = 1_767_225_600_000  # 2026-01-01
COUNTRIES = "DE FR GB US ES IT NL PL SE AT BE CH PT IE DK FI NO CZ RO HU".split()
SEED, CHUNK = 20_260_101, 100_000
FIRST = 49590338271490256608559692538361571095921575989136588898
PER_LINE = 5_000  # records of a MultiLang line


def kept(name: str, make: Any) -> Path:
    """A file under .bench/, made if it is not there."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / ".gitignore").write_text("*\n")
    path = KEPT / name
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("wb") as out:
            make(out)
        part.rename(path)
    return path


def payments(n: int, cards: int = 20_000) -> Path:
    """n lines; card of rank r with a probability like 1 / (r + 5)."""
    return kept(f"payments-{n}-{cards}.jsonl", lambda out: _write(out, _draw(n, cards)))


def every_card(cards: int) -> Path:
    """A line for each card, in five minutes just before the payments begin."""

    def make(out: BinaryIO) -> None:
        rng = np.random.default_rng(SEED)
        times = T0 - 300_000 + np.arange(cards) * 300_000 // cards
        _write(
            out, (rng.permutation(cards), np.zeros(cards, int), np.full(cards, 1.5), np.zeros(cards, int), times, np.arange(cards))
        )

    return kept(f"every-card-{cards}.jsonl", make)


def kcl_lines(n: int) -> Path:
    """The payments as MultiLang lines, as KCL writes them."""

    def make(out: BinaryIO) -> None:
        with payments(n).open("rb") as lines:
            for number, batch in enumerate(batches(lines, PER_LINE)):
                records = [_record(line, number * PER_LINE + i) for i, line in enumerate(batch)]
                message = {"action": "processRecords", "records": records, "millisBehindLatest": 0}
                out.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    return kept(f"kcl-lines-{n}.jsonl", make)


def relayed(n: int) -> Path:
    """The payments in our envelope, each twice: once for its card and once for its merchant."""

    def make(out: BinaryIO) -> None:
        with payments(n).open("rb") as lines:
            for number, line in enumerate(lines):
                document = json.loads(line)
                body, at = pack({**document, "declined": number % 11 == 0}), document["ts"]
                for route in ("card_id", "merchant"):
                    token = f"8265{number:020x}/{route}"
                    event = Event(token, "payments", route, "insert", document[route], at, at + 40, document["_id"])
                    out.write(encode(event, body) + b"\n")

    return kept(f"relayed-{n}.jsonl", make)


def batches(lines: BinaryIO, size: int) -> Iterator[list[bytes]]:
    """Lists of lines, without their ends."""
    batch: list[bytes] = []
    for line in lines:
        batch.append(line.rstrip(b"\n"))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _record(line: bytes, number: int) -> dict[str, Any]:
    return {
        "data": base64.b64encode(line).decode(),
        "partitionKey": hashlib.md5(line, usedforsecurity=False).hexdigest()[:8],
        "sequenceNumber": str(FIRST + number),
        "approximateArrivalTimestamp": json.loads(line)["ts"],
        "subSequenceNumber": 0,
        "action": "record",
    }


def _draw(n: int, cards: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(SEED)
    most = max(n, 3_000_000)  # always drawn in full, so that a shorter file is a longer one's beginning
    weights, shops = 1 / (np.arange(cards) + 5.0), 1 / (np.arange(500) + 3.0)
    card = rng.permutation(cards)[rng.choice(cards, most, p=weights / weights.sum())]
    merchant = rng.choice(500, most, p=shops / shops.sum())
    amount = np.round(np.round(np.exp(rng.normal(3.2, 1.1, most)), 2) + 0.01, 2)
    country = rng.integers(0, len(COUNTRIES), most)
    at = T0 + np.cumsum(rng.exponential(5.0, most))
    late = np.where(rng.random(most) < 0.02, rng.random(most) * 29_900, 0.0)
    drawn = (card, merchant, amount, country, (at - late).astype(np.int64), rng.integers(0, 2**62, most))
    return tuple(column[:n] for column in drawn)


def _write(out: BinaryIO, columns: tuple[Any, ...]) -> None:
    for a in range(0, len(columns[0]), CHUNK):
        rows = zip(*(column[a : a + CHUNK].tolist() for column in columns), strict=True)
        text = "".join(
            f'{{"_id":"{r:016x}{i:08x}","card_id":"c{c:05d}","merchant":"m{m}","amount":{x},"country":"{COUNTRIES[k]}","ts":{t}}}\n'
            for i, (c, m, x, k, t, r) in enumerate(rows, a)
        )
        out.write(text.encode())
