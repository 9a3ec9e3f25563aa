"""Stages of real parts for whole tests: mongod, ministack, producer, consumer with its JVM. Whatever happens, all of it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.load import load
from sandbox.processes import tail
from sandbox.stage import Stage

SetUp = Callable[[Path], Stage]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def set_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SetUp]:
    """set_stage(pipeline.toml) gives a running sandbox of its own with the stream made; it ends with the test."""
    monkeypatch.chdir(ROOT)
    stages: list[Stage] = []

    def begin(config: Path) -> Stage:
        monkeypatch.setenv("EDDY_CONFIG", str(config))
        stages.append(Stage.set(tmp_path / "sandbox", load(config)))
        return stages[-1]

    yield begin
    for stage in stages:
        stage.end()


def until(what: str, true: Callable[[], bool], within: float, stage: Stage | None = None) -> None:
    """Ask until it is so; fail with the logs' ends if it never is, or if a part of the stage dies meanwhile."""
    deadline = time.monotonic() + within
    while not true():
        if stage is not None:
            stage.must_live()
        if time.monotonic() > deadline:
            logs = [f"--- {log.name}\n{tail(log)}" for log in sorted(stage.home.glob("*.log"))] if stage is not None else []
            pytest.fail("\n".join([f"not within {within:.0f} s: {what}", *logs]))
        time.sleep(0.2)
