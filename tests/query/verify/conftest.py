"""A real mongod with the seeded shop's documents and the views that the product's own runner and store made of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.load import load
from config.specs import Pipeline
from consumer.runner import Runner
from consumer.store.contract import HashRange, ShardId
from consumer.store.mongo import MongoStore
from contract.keys import kinesis_hash
from edge.mongo import connect
from query.__main__ import main
from tests.conftest import Client
from tests.query.verify.shop_run import Happened, consumed, happened
from windows.law.spec import WindowSet

EVERYTHING = Path(__file__).parents[2] / "sandbox" / "everything.toml"
HALVES = (HashRange(0, (1 << 127) - 1), HashRange(1 << 127, (1 << 128) - 1))
Document = dict[str, Any]
Verify = Callable[..., tuple[int, str]]


@dataclass(slots=True)
class Shop:
    """A shop of one's own: its collections and its views lie in one database each."""

    uri: str
    client: Client
    spec: Pipeline
    name: str
    folder: Path
    text: str

    @property
    def source(self) -> Any:
        """The shop's database."""
        return self.client[f"{self.name}_shop"]

    @property
    def views(self) -> Any:
        """The views' database."""
        return self.client[f"{self.name}_views"]

    def change(self, old: str, new: str) -> None:
        """Another pipeline.toml."""
        assert old in self.text
        self.text = self.text.replace(old, new)
        self.write()

    def write(self) -> None:
        """pipeline.toml as it is now."""
        (self.folder / "pipeline.toml").write_text(self.text)

    def set(self, name: str) -> WindowSet:
        """A window set."""
        return next(s for s in self.spec.windows if s.name == name)


def named(name: str, text: str) -> str:
    """The configuration with databases of that name."""
    return text.replace('database = "shop"', f'database = "{name}_shop"').replace(
        'database = "everything"', f'database = "{name}_views"'
    )


def made(uri: str, client: Client, name: str, folder: Path) -> Shop:
    """Nothing in it yet."""
    shop = Shop(uri, client, load(EVERYTHING), name, folder, named(name, EVERYTHING.read_text()))
    shop.write()
    shop.spec = load(folder / "pipeline.toml")
    return shop


def fill(shop: Shop, day: Happened) -> None:
    """The documents, in the order in which they were written, and the views, by two shards."""
    for trigger in shop.spec.triggers:
        shop.source[trigger.collection].insert_many([row.document for row in day.rows[trigger.name]])
    feed(shop, day)


def feed(shop: Shop, day: Happened, spec: Pipeline | None = None) -> None:
    """The records to two shards, each of which takes those of its keys, as Kinesis deals them out; and the views."""
    store = MongoStore(connect(shop.uri, "test"), spec or shop.spec)
    store.prepare()
    try:
        for n, hashes in enumerate(HALVES):
            own = [raw for raw in day.raws if raw.partition_key is None or holds(hashes, raw.partition_key)]
            consumed(Runner(spec or shop.spec, store, ShardId("arn", 0, f"shardId-{n:012d}"), hashes), own)
    finally:
        store.close()


def holds(hashes: HashRange, partition_key: str) -> bool:
    """Whether a shard of these hashes gets the key."""
    return hashes.low <= kinesis_hash(partition_key) <= hashes.high


@pytest.fixture(scope="module")
def template(mongod: str, mongo: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that has had a short day, some minutes ago, and everything of it is in the views."""
    shop = made(mongod, mongo, f"test_{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("template"))
    begin = int(time.time() * 1_000) - 180_000
    fill(shop, happened(shop.spec, count=700, seconds=30, quiet=30, begin=begin))
    yield shop
    for database in (shop.source, shop.views):
        mongo.drop_database(database.name)


@pytest.fixture
def shop(template: Shop, tmp_path: Path) -> Iterator[Shop]:
    """A copy of it, to be changed."""
    copy = made(template.uri, template.client, f"test_{uuid.uuid4().hex[:12]}", tmp_path)
    for old, new in ((template.source, copy.source), (template.views, copy.views)):
        for name in old.list_collection_names():
            old[name].aggregate([{"$out": {"db": new.name, "coll": name}}])
    yield copy
    for database in (copy.source, copy.views):
        copy.client.drop_database(database.name)


@pytest.fixture
def verify(shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the command on that shop: its exit status, and what it printed."""
    monkeypatch.setenv("MONGODB_URI", shop.uri)
    monkeypatch.setenv("EDDY_CONFIG", str(shop.folder / "pipeline.toml"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*argv: str) -> tuple[int, str]:
        status = main(["verify", *argv])
        out, err = capsys.readouterr()
        return status, out + err

    return call
