"""KCL, as far as a shard can tell: who has the lease, from where it is read, and what a checkpoint comes to.

1. A child shard's lease is given out once all its parents have ended.
2. initialize says the lease's checkpoint; the records behind it are then delivered in batches, in their order.
3. checkpoint() is taken of the lease's owner alone, between the last one and what was delivered; without a position, at the
   shard's end, it stores the end.
4. A lease that is taken away is the former owner's no more, whatever that one believes; it learns of it late: after another batch,
   or when it comes to and initializes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from consumer.intake.records import Raw
from consumer.store.contract import BEFORE_ALL, Position

TRIM_HORIZON = "TRIM_HORIZON"


@dataclass
class Lease:
    """checkpoint: None is TRIM_HORIZON. ended: SHARD_END. former: earlier checkpoints, to which somebody may set it back."""

    shard: str
    owner: Any = None
    checkpoint: Position | None = None
    ended: bool = False
    former: list[Position | None] = field(default_factory=lambda: [None])

    def set(self, position: Position) -> None:
        self.former.append(self.checkpoint)
        self.checkpoint = position

    @property
    def place(self) -> Position:
        return BEFORE_ALL if self.checkpoint is None else self.checkpoint

    def begin(self, checkpoint: Position | None) -> Any:
        """What initialize says."""
        number, sub = (TRIM_HORIZON, 0) if checkpoint is None else (str(checkpoint[0]), checkpoint[1])
        return SimpleNamespace(shard_id=self.shard, sequence_number=number, sub_sequence_number=sub)


def batch(raws: Sequence[Raw], behind: int, checkpointer: Any) -> Any:
    """What process_records is given."""
    records = [
        SimpleNamespace(
            binary_data=raw.data,
            partition_key=raw.partition_key,
            sequence_number=str(raw.sequence),
            sub_sequence_number=raw.sub,
            timestamp_millis=raw.arrived,
        )
        for raw in raws
    ]
    return SimpleNamespace(records=records, millis_behind_latest=behind, checkpointer=checkpointer)
