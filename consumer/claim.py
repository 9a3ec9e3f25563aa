"""How a child comes to own a shard: Kinesis says where it lies, the store opens it, a runner takes it up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from config.specs import Pipeline
from consumer import stream
from consumer.patience import patiently
from consumer.runner import Runner
from consumer.store import Store

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Release = Callable[[], None]


class Claims:
    """Makes runners. new_store: a store with a connection of its own."""

    def __init__(self, spec: Pipeline, kinesis: KinesisClient, new_store: Callable[[], Store]) -> None:
        self._spec, self._kinesis, self._new_store = spec, kinesis, new_store

    @property
    def idle(self) -> int | None:
        """After how many ms of silence time follows the clock: only where there are no heartbeats."""
        return self._spec.stream.idle if self._spec.stream.format == "document" else None

    def claim(self, shard: str, wait: Callable[[float], None]) -> tuple[Runner, Release]:
        """The runner of a shard, and what lets go of it. Raises Misconfigured, Fatal; waits where something is away."""
        name = self._spec.stream.name
        info = patiently("Kinesis", partial(stream.describe, self._kinesis, name), wait)
        place = patiently("Kinesis", partial(stream.find, self._kinesis, info, shard), wait)
        store = self._new_store()
        return Runner(self._spec, store, place.shard, place.hashes, place.parents, wait=wait), store.close
