"""What a check found: how much was compared, and each difference in words."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract.keys import kinesis_hash, partition_key
from contract.times import date_ms

SHOWN = 10


@dataclass(slots=True)
class Report:
    """windows: closed ones compared; still_open: those that cannot be closed yet, compared all the same."""

    windows: int = 0
    still_open: int = 0
    rolling: int = 0
    carts: int = 0
    scores: int = 0
    differ: int = 0
    examples: list[str] = field(default_factory=list)

    def differs(self, what: str) -> None:
        """One more difference; the first few are kept to be shown."""
        self.differ += 1
        if len(self.examples) < SHOWN:
            self.examples.append(what)

    def compare(self, what: str, stored: Any, expected: Any) -> None:
        """A difference unless they are equal."""
        if stored != expected:
            self.differs(f"{what}: is {stored!r}, should be {expected!r}")

    @property
    def good(self) -> bool:
        """Nothing differs, and there was something of each kind to compare."""
        return self.differ == 0 and min(self.windows, self.rolling, self.carts) > 0

    def line(self) -> str:
        """The line that says it."""
        more = f" ({self.still_open} windows still open and {self.scores} scores were compared too)"
        return f"checked {self.windows} windows, {self.rolling} rolling values, {self.carts} carts: {self.differ} differ" + more


@dataclass(frozen=True, slots=True)
class Watermarks:
    """How far each shard is. ranges: shard -> (low, high) of its hashes; at: shard -> watermark in ms."""

    ranges: Mapping[str, tuple[int, int]]
    at: Mapping[str, int]

    def of(self, route: str, key: Hashable) -> int:
        """The watermark of the shard that holds the key."""
        place = kinesis_hash(partition_key(route, key))
        return next(self.at[shard] for shard, (low, high) in self.ranges.items() if low <= place <= high)


def ms(value: Any) -> int | None:
    """A BSON date in ms, None for none."""
    return None if value is None else date_ms(value)
