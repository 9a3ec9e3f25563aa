"""A seeded web shop: who pays what where and which carts are left, as a plan in simulated milliseconds.

The same seed gives the same documents in the same order; only clock times and the first counter differ from run to run. What is
fraud and what becomes of a cart is known here, and marked (`fraud`, `fate`), for judging later; no rule may read it.
"""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

Document = dict[str, Any]
Make = Callable[[], Document]
PAYMENTS, CARTS = "transactions", "cart_events"
COUNTRIES = ("DE", "AT", "FR", "NL", "PL", "IT", "ES", "US")
CATALOGUE = {f"sku-{i:03d}": round(4.0 + (i * 37 % 190) + (i % 4) * 0.25, 2) for i in range(60)}
DISORDER = 1_500  # ms that an event's time may lie before its insertion; with the relay's second that is within 3 s of lateness


@dataclass(frozen=True, slots=True)
class Card:
    """A customer's card: what it usually costs and where it is usually used."""

    id: str
    mean: float
    country: str
    homes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Happens:
    """One document of the shop. due: simulated ms since the start; behind: how far its event time lies before that."""

    due: int
    behind: int
    collection: str
    document: Document


class Shop:
    """An endless plan. rate: about how many documents a simulated second; gap: ms after which a cart counts as left."""

    def __init__(self, seed: int = 7, rate: float = 50.0, gap: int = 20_000, cards: int = 300, first: int = 0) -> None:
        self.random = random.Random(seed)
        self.rate, self.gap, self.first = rate, gap, first
        self.terminals = [f"term-{i:03d}" for i in range(max(80, cards // 3))]
        self.cards = [self._card(i) for i in range(cards)]
        self.carts = 0
        self.plan: list[tuple[int, int, str, Make]] = []
        self.planned = 0
        self.seed = seed

    def _card(self, i: int) -> Card:
        pick = self.random
        homes = tuple(pick.sample(self.terminals, 3))
        return Card(f"card-{i:04d}", round(pick.lognormvariate(3.3, 0.6), 2), pick.choice(COUNTRIES), homes)

    def __iter__(self) -> Iterator[Happens]:
        """In order of `due`; `n` and `_id` grow with it."""
        self._at(0, PAYMENTS, self._payment_then_next)
        self._at(0, CARTS, self._cart_then_next)
        self._at(3_000, PAYMENTS, self._fraud_then_next)
        n = self.first
        while True:
            due, _, collection, make = heapq.heappop(self.plan)
            self.now = due
            document = make()
            if document:
                yield Happens(due, self._behind(), collection, {"_id": self._id(n), "n": n, **document})
                n += 1

    def _at(self, due: int, collection: str, make: Make) -> None:
        self.planned += 1
        heapq.heappush(self.plan, (due, self.planned, collection, make))

    def _id(self, n: int) -> ObjectId:
        return ObjectId(struct.pack(">IQ", self.seed & 0xFFFFFFFF, n))

    def _behind(self) -> int:
        """Most events come at once, some up to a second and a half after their time."""
        return self.random.randrange(DISORDER) if self.random.random() < 0.3 else self.random.randrange(120)

    def _wait(self, per_second: float) -> int:
        return max(1, round(self.random.expovariate(per_second) * 1_000))

    # --- payments

    def _payment_then_next(self) -> Document:
        self._at(self.now + self._wait(self.rate * 0.55), PAYMENTS, self._payment_then_next)
        card = self.cards[int(self.random.triangular(0, len(self.cards), 0))]
        terminal = self.random.choice(card.homes) if self.random.random() < 0.93 else self.random.choice(self.terminals)
        return self._payment(card, terminal, card.mean * self.random.lognormvariate(0, 0.35), self.random.random() < 0.02, None)

    def _payment(self, card: Card, terminal: str, amount: float, declined: bool, fraud: str | None) -> Document:
        return {
            "card_id": card.id, "terminal_id": terminal, "amount": round(max(amount, 0.5), 2), "country": card.country,
            "declined": declined, "fraud": fraud,
        }  # fmt: skip

    def _fraud_then_next(self) -> Document:
        """Start one episode of fraud on some card; an episode is about ten payments."""
        self._at(self.now + self._wait(self.rate * 0.006), PAYMENTS, self._fraud_then_next)
        card = self.random.choice(self.cards)
        self.random.choice((self._velocity, self._spike, self._hopping))(card)
        return {}

    def _velocity(self, card: Card) -> None:
        """Many small payments in a quarter of a minute at one terminal, a third declined: somebody tries out a card."""
        terminal = self.random.choice(self.terminals)
        for k in range(self.random.randint(10, 16)):
            amount, declined = self.random.uniform(1, 12), self.random.random() < 0.33
            self._fraud(k * 900 + self.random.randrange(600), card, terminal, amount, declined, "velocity")

    def _spike(self, card: Card) -> None:
        """One or two payments of many times what the card usually pays."""
        for k in range(self.random.randint(1, 2)):
            amount = card.mean * self.random.uniform(9, 16)
            self._fraud(k * 4_000, card, self.random.choice(self.terminals), amount, False, "spike")

    def _hopping(self, card: Card) -> None:
        """One card at six to eight terminals within half a minute."""
        for k, terminal in enumerate(self.random.sample(self.terminals, self.random.randint(6, 8))):
            amount = card.mean * self.random.uniform(0.8, 2)
            self._fraud(k * 3_500 + self.random.randrange(900), card, terminal, amount, False, "hopping")

    def _fraud(self, after: int, card: Card, terminal: str, amount: float, declined: bool, pattern: str) -> None:
        self._at(self.now + after, PAYMENTS, lambda: self._payment(card, terminal, amount, declined, pattern))

    # --- carts

    def _cart_then_next(self) -> Document:
        """Open one cart: two to six steps, then it is bought, left for good, or left and picked up again."""
        self._at(self.now + self._wait(self.rate * 0.07), CARTS, self._cart_then_next)
        self.carts += 1
        fate = self.random.choices(("bought", "left", "returned", "emptied"), (60, 25, 10, 5))[0]
        Cart(self, f"cart-{self.first + self.carts:07d}", f"user-{self.random.randrange(2_000):04d}", fate).begin()
        return {}


@dataclass(slots=True)
class Cart:
    """One cart's way through the shop."""

    shop: Shop
    id: str
    user: str
    fate: str

    def begin(self) -> None:
        """Plan every step of this cart."""
        pick, at, items = self.shop.random, self.shop.now, dict[str, int]()
        for _ in range(pick.randint(2, 6)):
            at += self._pause()
            sku = pick.choice(list(CATALOGUE))
            items[sku] = items.get(sku, 0) + pick.randint(1, 2)
            self._step(at, "add", items)
        if len(items) > 1 and pick.random() < 0.3:
            at += self._pause()
            items.pop(next(iter(items)))
            self._step(at, "remove", items)
        self._end(at, items)

    def _end(self, at: int, items: dict[str, int]) -> None:
        pick, gap = self.shop.random, self.shop.gap
        if self.fate == "emptied":
            self._step(at + self._pause(), "remove", {})
        if self.fate == "returned":  # longer than the gap, so that it was left in between
            at += gap + pick.randint(gap // 5, gap // 2)
            self._step(at, "add", items)
        if self.fate in ("bought", "returned"):
            at += self._pause()
            self._step(at, "checkout", items)
            self._step(at + self._pause(), "purchase", items)

    def _pause(self) -> int:
        return self.shop.random.randint(self.shop.gap // 50, self.shop.gap // 6)

    def _step(self, at: int, action: str, items: dict[str, int]) -> None:
        lines = [{"sku": sku, "qty": qty, "price": CATALOGUE[sku]} for sku, qty in items.items()]
        value = round(sum(qty * CATALOGUE[sku] for sku, qty in items.items()), 2)
        document = {"cart_id": self.id, "user_id": self.user, "action": action, "items": lines, "value": value, "fate": self.fate}
        self.shop._at(at, CARTS, lambda: document)
