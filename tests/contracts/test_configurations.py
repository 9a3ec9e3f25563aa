"""Workers of one stream keep it by one configuration, the newest; on a real mongod."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from pymongo import MongoClient

from config.specs import Pipeline
from consumer.store.mongo import MongoStore
from contract.errors import Misconfigured
from edge.mongo import connect
from tests.contracts.conftest import AT, pipeline
from windows.law.spec import WindowSet

Admit = Callable[[Pipeline, bool], None]


def lateness(spec: Pipeline, ms: int) -> Pipeline:
    """Another configuration."""
    windows: tuple[WindowSet, ...] = tuple(replace(s, lateness=ms) for s in spec.windows)
    return replace(spec, windows=windows)


@pytest.fixture
def admit(database: tuple[str, str]) -> Admit:
    """A worker with a configuration starts."""

    def ask(spec: Pipeline, again: bool = False) -> None:
        with closing(MongoStore(connect(database[0], "test"), spec, clock=lambda: AT)) as store:
            store.admit(again)

    return ask


def test_an_older_configuration_is_refused_until_somebody_goes_back_to_it(admit: Admit, database: tuple[str, str]) -> None:
    #  ten       admitted              refused    --again    admitted
    #  fifteen             admitted                                     refused
    ten, fifteen = lateness(pipeline(database[1]), 10_000), lateness(pipeline(database[1]), 15_000)
    admit(ten, False)
    admit(fifteen, False)
    admit(fifteen, False)
    with pytest.raises(Misconfigured, match=f"{ten.fingerprint}.*followed by a newer one.*{fifteen.fingerprint}.*--again"):
        admit(ten, False)
    admit(ten, True)
    admit(ten, False)
    with pytest.raises(Misconfigured):
        admit(fifteen, False)


def test_what_no_result_follows_from_makes_no_other_configuration(database: tuple[str, str]) -> None:
    spec = pipeline(database[1])
    alike = replace(
        spec,
        views=replace(spec.views, refresh=5_000, ttl={"minute": 1}),
        consumer=replace(spec.consumer, memory=1),
        stream=replace(spec.stream, shards=9),
    )
    assert alike.fingerprint == spec.fingerprint
    for other in (lateness(spec, 1), replace(spec, fraud=None), replace(spec, stream=replace(spec.stream, settle=1))):
        assert other.fingerprint != spec.fingerprint


def test_of_many_that_start_at_once_one_is_the_newest_and_none_is_lost(admit: Admit, database: tuple[str, str]) -> None:
    specs = [lateness(pipeline(database[1]), ms) for ms in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda spec: admit(spec, False), specs))
    client: MongoClient[dict[str, Any]]
    with MongoClient(database[0]) as client:
        (kept,) = client[database[1]]["_configurations"].find()
    assert sorted(one["config"] for one in kept["seen"]) == sorted(spec.fingerprint for spec in specs)
    refused = 0
    for spec in specs:
        try:
            admit(spec, False)
        except Misconfigured:
            refused += 1
    assert refused == len(specs) - 1
