"""Helpers for tests of the replay: a small configuration, and its files read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Replay = Callable[..., Path]
BARE = """
[stream]
name = "s"

[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card", "shop"]
time = "at"

[[windows]]
name = "minute"
trigger = "pay"
key = "card"
tumbling = { size = "10s" }
measures = { n = "count()", spend = "sum(amount)" }

[[windows]]
name = "recent"
trigger = "pay"
key = "card"
rolling = { size = "10s" }
measures = { n = "count()", top = "max(amount)" }

[[windows]]
name = "busy"
trigger = "pay"
key = "shop"
rolling = { size = "5s" }
measures = { n = "count()" }
"""


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def health(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "health.json").read_bytes())
    assert found["records"] == sum(found[c] for c in ("counted", "repeat", "late", "ignored", "control", "dead_letter"))
    return found


def doc(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
