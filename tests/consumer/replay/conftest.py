"""The replay of a file, as a fixture."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumer.replay.replay import main
from tests.consumer.replay.files import BARE, Replay


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    """Replays lines under a configuration and gives the folder of results."""

    def run(lines: list[bytes], toml: str = BARE, *more: str, out: str = "out", status: int = 0) -> Path:
        (tmp_path / "pipeline.toml").write_text(toml)
        (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        folder = tmp_path / "made" / out
        given = ["--config", str(tmp_path / "pipeline.toml"), "--events", str(tmp_path / "events.jsonl"), "--out", str(folder)]
        assert main([*given, *more]) == status
        return folder

    return run
