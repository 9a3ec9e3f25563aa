"""A stream as Kinesis keeps it: shards with hash ranges, split and merged on the way, and all that can be in their records.

s0 |0 ................ 2^127|  split  s2 |0 .... 2^126|  s3 |2^126 .... 2^127|
s1 |2^127 ............ 2^128|         s3, s1 merged: s4 |2^126 ........... 2^128|
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from consumer.intake.records import Raw
from consumer.store.contract import HashRange, ShardId
from contract.codec import encode
from contract.event import Gap, Heartbeat, Op
from contract.keys import kinesis_hash, partition_key
from tests.consumer.stream import S, change
from tests.consumer.test_batches import bad

FIRST_NUMBER = 49590338271490256608559692538361571095921575989136588898  # as long as Kinesis' own
WHOLE = (1 << 128) - 1
TIDY = ("t1", "t2", "t3")  # cards whose payments are never late, so that anybody can count them
WILD = ("a", "b", 3)


@dataclass
class Part:
    """A shard. places: of its records in the stream's order of arrival; closed: after how many arrivals."""

    name: str
    hashes: HashRange
    parents: tuple[str, ...]
    opened: int
    closed: int | None = None
    raws: list[Raw] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    @property
    def id(self) -> ShardId:
        return ShardId("stream", 1, self.name)

    def there(self, arrived: int) -> list[Raw]:
        """Its records once so many have arrived in all of the stream."""
        return [raw for raw, place in zip(self.raws, self.places, strict=True) if place < arrived]

    def over(self, arrived: int) -> bool:
        return self.closed is not None and self.closed <= arrived


@dataclass(frozen=True)
class Payment:
    """A tidy one."""

    n: int
    card: str
    at: int
    amount: float
    shop: str


class Stream:
    """All records there will be, by chance. ahead: whether some clocks run ahead; tears: when the relay loses its history."""

    def __init__(self, random: Random, ahead: bool, tears: Random) -> None:
        self.parts: dict[str, Part] = {}
        self.tidy: list[Payment] = []
        self.arrivals = 0
        self._random, self._ahead, self._now = random, ahead, 0
        self._put: list[tuple[bytes, str]] = []
        self.gaps: list[Gap] = []
        torn = tears.random() < 0.4
        many = random.choice((1, 2, 2, 3))
        for i in range(many):
            self._open(HashRange(i * (WHOLE + 1) // many, (i + 1) * (WHOLE + 1) // many - 1), ())
        length = random.randint(30, 110)
        reshards = sorted(random.sample(range(5, length), random.choice((0, 1, 1, 2))))
        for n in range(length):
            if n in reshards:
                self._reshard()
            self._now += random.choice((0, 0, 200, 500, 1 * S, 2 * S, 5 * S))
            self._one(n)
            if torn and tears.random() < 0.05:
                self._tear(tears)
        for pause in (3, 12, 40, 60):
            self._now += pause * S
            self._beats()

    def open(self) -> list[Part]:
        return [part for part in self.parts.values() if part.closed is None]

    def _open(self, hashes: HashRange, parents: tuple[Part, ...]) -> None:
        for parent in parents:
            parent.closed = self.arrivals
        name = f"s{len(self.parts)}"
        self.parts[name] = Part(name, hashes, tuple(p.name for p in parents), self.arrivals)

    def _reshard(self) -> None:
        there = sorted(self.open(), key=lambda part: part.hashes.low)
        if len(there) > 1 and self._random.random() < 0.5:
            i = self._random.randrange(len(there) - 1)
            self._open(HashRange(there[i].hashes.low, there[i + 1].hashes.high), (there[i], there[i + 1]))
            return
        part = self._random.choice(there)
        middle = (part.hashes.low + part.hashes.high) // 2
        self._open(HashRange(part.hashes.low, middle), (part,))
        self._open(HashRange(middle + 1, part.hashes.high), (part,))

    def _beats(self) -> None:
        for part in self.open():
            self._append(part, encode(Heartbeat(self._now + 2 * S)), "heartbeat")

    def _tear(self, tears: Random) -> None:
        """The relay says on every shard that something is missing up to now."""
        triggers = tears.choice((("pay",), ("pay", "carts", "stock"), ("carts", "elsewhere"), ("stock",)))
        gap = Gap(max(0, self._now - tears.choice((0, 3, 20)) * S), self._now, triggers)
        self.gaps.append(gap)
        for part in self.open():
            self._append(part, encode(gap), "gap", alone=True)

    def _append(self, part: Part, data: bytes, key: str, alone: bool = False) -> None:
        last = part.raws[-1] if part.raws else None
        if last is not None and not alone and self._random.random() < 0.2:  # one more of an aggregated record
            sequence, sub = last.sequence, last.sub + 1
        else:
            sequence, sub = FIRST_NUMBER + 10 * self.arrivals, 0
        part.raws.append(Raw(data, key, sequence, sub, self._now))
        part.places.append(self.arrivals)
        self.arrivals += 1

    def _send(self, data: bytes, key: str) -> None:
        hash = kinesis_hash(key)
        self._append(next(part for part in self.open() if part.hashes.low <= hash <= part.hashes.high), data, key)

    def _change(
        self,
        n: int,
        trigger: str,
        route: str,
        key: Any,
        at: int,
        op: Op = "insert",
        old: Any = None,
        doc: Any = None,
        /,
        **more: Any,
    ) -> None:
        data = change(n, trigger, route, key, at, op, old, doc, self._now, **more)
        self._put.append((data, partition_key(route, key)))
        self._send(*self._put[-1])

    def _at(self) -> int:
        """An event time: now, earlier, or where clocks run ahead a little later."""
        off = self._random.choice((0, 0, 0, 2, 12, 40) if not self._ahead else (0, 0, 0, 2, 12, 40, -3))
        return max(0, self._now - off * S)

    def _one(self, n: int) -> None:
        r, now = self._random, self._now
        what = r.choices(("tidy", "pay", "cart", "stock", "beat", "again", "bad"), (6, 5, 5, 3, 3, 2, 1))[0]
        if what == "tidy":
            payment = Payment(n, r.choice(TIDY), now, r.choice((0.5, 2.0, 3.25)), r.choice("xyz"))
            self.tidy.append(payment)
            self._change(n, "pay", "card", payment.card, now, amount=payment.amount, shop=payment.shop)
        elif what == "pay":
            route, op = r.choice(("card", "card", "shop")), r.choice(("insert", "insert", "update"))
            amount = r.choice((0.5, 2, 3.25, None))
            self._change(n, "pay", route, r.choice(WILD), self._at(), op, amount=amount, card=r.choice("cd"), shop="x")
        elif what == "cart":
            action, items = r.choice(("add", "add", "add", "purchase")), ["sku"] * r.choice((0, 1, 1))
            self._change(n, "carts", "cart", r.choice(WILD), self._at(), action=action, items=items, n=n)
        elif what == "stock":
            op = r.choice(("insert", "insert", "update", "delete"))
            old = None if op == "insert" else max(0, now - r.choice((0, 2, 5, 30)) * S)
            self._change(n, "stock", "sku", r.choice("ab"), self._at(), op, old, r.randrange(4), amount=1.5)
        elif what == "again" and self._put:
            self._send(*r.choice(self._put))
        elif what == "bad":
            self._send(r.choice(bad(n, now)), f"bad {n}")
        else:
            self._beats()
