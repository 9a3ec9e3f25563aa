"""Machine code of what reads records and keeps windows, made before the first child starts and kept on disk for all of them.

Children that begin together would each compile the same, with records waiting. Where nothing can be kept, they have to.

To look at all that is kept takes the compilers seven seconds of a processor, which a consumer that was killed does not have. So a
stamp beside it says from what it was made; it goes when what is kept goes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import structlog

ROOT = Path(__file__).resolve().parents[2]
WARMERS = tuple((sys.executable, "-m", module) for module in ("consumer.intake.warm", "windows.columnar.warm"))  # at the same time
SOURCES = ("compiled", "windows", "reading", "consumer/intake", "contract")
MAKERS = ("numba", "llvmlite", "numpy")
QUICK = 5.0  # s; what takes longer is compiling
LOOK = 0.05  # s
log = structlog.get_logger("consumer")
Wait = Callable[[float], None]


@contextmanager
def compiling(wait: Wait, warmers: Sequence[Sequence[str]] = WARMERS, stamp: Path | None = None) -> Iterator[Callable[[], None]]:
    """Begins at once. What it gives returns when all is compiled that can be; `wait` may raise to give up. A warmer that fails is a
    line in the log: children compile what they lack. Nothing is done where the stamp says that all was done before."""
    mark = made_of(os.environ)
    if stamp is not None and stamp.exists() and stamp.read_text(encoding="utf-8") == mark:
        yield lambda: None
        return
    with tempfile.TemporaryFile() as said:
        running = [subprocess.Popen(w, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=ROOT) for w in warmers]
        try:
            yield lambda: _finish(running, wait)
            if any(process.returncode for process in running):
                said.seek(0)
                why = said.read().decode(errors="replace").strip().splitlines()[-1:]
                log.warning("cannot compile ahead; each child does it for itself", why=" ".join(why))
            elif stamp is not None and all(process.returncode == 0 for process in running):
                with suppress(OSError):  # sources that cannot be written: numba keeps its work elsewhere, and is asked each time
                    stamp.write_text(mark, encoding="utf-8")
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


def stamp_of(env: Mapping[str, str]) -> Path:
    """Where the stamp lies: with what is kept."""
    given = env.get("NUMBA_CACHE_DIR")
    return Path(given) / "eddy-compiled" if given else ROOT / "windows" / "__pycache__" / "compiled"


def made_of(env: Mapping[str, str]) -> str:
    """A digest of all that what is kept depends on: sources, who compiles them, with which settings, for which processor."""
    found = hashlib.sha256()
    for path in sorted(path for room in SOURCES for path in (ROOT / room).rglob("*.py")):
        found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    settings = sorted((name, value) for name, value in env.items() if name.startswith("NUMBA_"))
    found.update(repr((sys.version, [version(maker) for maker in MAKERS], settings, _processor())).encode())
    return found.hexdigest()


def _processor() -> list[str]:
    """Its name and what it can do."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    return [platform.processor()]
