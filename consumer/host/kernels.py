"""Machine code of what reads records and keeps windows, made before the first child starts and kept on disk for all of them.

Children that begin together would each compile the same, with records waiting. Where nothing can be kept, they have to.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

ROOT = Path(__file__).resolve().parents[2]
WARMERS = tuple((sys.executable, "-m", module) for module in ("consumer.intake.warm", "windows.columnar.warm"))  # at the same time
QUICK = 5.0  # s; what takes longer is compiling
LOOK = 0.05  # s
log = structlog.get_logger("consumer")
Wait = Callable[[float], None]


@contextmanager
def compiling(wait: Wait, warmers: Sequence[Sequence[str]] = WARMERS) -> Iterator[Callable[[], None]]:
    """Begins at once. What it gives returns when all is compiled that can be; `wait` may raise to give up. A warmer that fails is a
    line in the log: children compile what they lack."""
    with tempfile.TemporaryFile() as said:
        running = [subprocess.Popen(w, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=ROOT) for w in warmers]
        try:
            yield lambda: _finish(running, wait)
            if any(process.returncode for process in running):
                said.seek(0)
                why = said.read().decode(errors="replace").strip().splitlines()[-1:]
                log.warning("cannot compile ahead; each child does it for itself", why=" ".join(why))
        finally:
            for process in running:
                process.kill()
                process.wait()


def _finish(running: Sequence[subprocess.Popen[bytes]], wait: Wait) -> None:
    begin, told = time.monotonic(), False
    while any(process.poll() is None for process in running):
        if not told and time.monotonic() - begin > QUICK:
            log.info("compiling what reads records and keeps windows: about a minute, once; then it is kept on disk")
            told = True
        wait(LOOK)
