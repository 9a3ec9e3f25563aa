"""What readers rely on: every document that is written has the shape that contract.views gives it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from config.load import parse
from consumer.intake.batch import Budget
from consumer.life import Limits
from consumer.runner import Runner
from consumer.store.memory import MemoryStore
from contract.views import DeadLetterDoc, Health, RollingDoc, ScoreDoc, SharedRollingDoc, SignalDoc, WindowDoc
from tests.consumer.stream import SHARD, SHARED, TOML, S, beat, change, raws, whole

SHAPES: dict[str, Any] = {
    "minute": WindowDoc,
    "load": WindowDoc,
    "visits": WindowDoc,
    "moves": WindowDoc,
    "recent": RollingDoc,
    "habit": RollingDoc,
    "fraud_scores": ScoreDoc,
    "abandoned_carts": SignalDoc,
    "dead_letters": DeadLetterDoc,
    "health": Health,
}
LINES = [
    *(change(n, "pay", route, "a", n * S, amount=n, shop="x", card="c") for n in range(1, 5) for route in ("card", "shop")),
    *(change(n, "carts", "cart", "k", n * S, action="add", items=["sku"], n=n) for n in (5, 6)),
    change(7, "stock", "sku", "s", 7 * S, amount=1.5),
    beat(40 * S),
    change(8, "carts", "cart", "k", 41 * S, action="purchase", items=["sku"], n=1),  # after the signal, which it retracts
    change(9, "pay", "card", None, S),
    b"\xff",
]


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    spec = parse(TOML)
    kept = MemoryStore(spec)
    for cut in range(0, len(LINES), 3):
        runner = Runner(spec, kept, SHARD, limits=Limits(budget=Budget(rows=2)))
        runner.feed(raws(LINES)[cut : cut + 3])
        runner.flush()
    return kept


def test_every_view_has_a_shape(store: MemoryStore) -> None:
    assert set(store.collections) == set(SHAPES)


def test_a_document_of_sets_that_share_a_view_has_its_shape() -> None:
    documents = whole(LINES, SHARED).documents["cards"]
    assert documents
    sets = {s.name: {m.name for m in s.measures} for s in SHARED.windows if s.view == "cards"}
    for document in documents:
        msgspec.convert({**document, "updated_at": document["as_of"]}, SharedRollingDoc)
        own = set(document) - set(SharedRollingDoc.__annotations__)
        assert {name: set(document[name]) - {"config"} for name in own} == sets


@pytest.mark.parametrize("view", SHAPES)
def test_every_document_has_its_shape(store: MemoryStore, view: str) -> None:
    documents = list(store.collections[view].values())
    assert documents
    own = set(SHAPES[view].__annotations__)
    for document in documents:
        msgspec.convert(document, SHAPES[view])
        more = set(document) - own
        assert not more or SHAPES[view] in (WindowDoc, RollingDoc), f"{more} are nowhere told of"
