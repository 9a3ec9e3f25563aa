"""The supervisor's side of the nursery (consumer/kcl/nursery.py): started before KCL is, and again where it has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from consumer.host.jvm import RUN, die_with

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "consumer", "nursery")
log = structlog.get_logger("consumer")


class Nursery:
    """One process for a run directory, which ends with this one."""

    def __init__(self, run: Path, env: Mapping[str, str], command: Sequence[str] = COMMAND) -> None:
        self._run, self._env, self._command = run, env, command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pids(self) -> frozenset[int]:
        """Its pid, while it runs."""
        return frozenset() if self._process is None or self._process.poll() is not None else frozenset((self._process.pid,))

    def ready(self) -> None:
        """Start it where it does not run; who asks it for a child waits until it is through with that."""
        if self.pids:
            return
        if self._process is not None:
            log.warning("the nursery has ended; starting it again", status=self._process.returncode)
        parent = os.getpid()
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env={**self._env, RUN: str(self._run), "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL, stdout=2, process_group=0,
            preexec_fn=lambda: die_with(parent, signal.SIGKILL),  # noqa: PLW1509 -- it calls nothing but prctl
        )  # fmt: skip

    def close(self) -> None:
        """End it, and all children with it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
