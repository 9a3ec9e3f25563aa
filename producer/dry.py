"""`python -m producer --dry-run`: what would be sent, as JSON lines. Nothing is put, no bookmark moves, and no lease is taken."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import TextIO

from producer.changes import records
from producer.source import Source


def show(sources: Sequence[Source], until: tuple[int, int] | None, stop: threading.Event, out: TextIO) -> None:
    """Read on from where the sources stand, each change when it comes; until: a cluster time at which to end. Raises as they do."""
    going = list(sources)
    while going and not stop.is_set():
        for source in list(going):
            captured = source.next()
            if captured.change is not None:
                for trigger in captured.triggers:
                    for record in records(trigger, captured.change):
                        line = {"trigger": record.trigger, "partition_key": record.key, "record": json.loads(record.data)}
                        print(json.dumps(line, ensure_ascii=False), file=out, flush=True)
            if until is not None and captured.position.cluster >= until:
                going.remove(source)
