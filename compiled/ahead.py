"""Kernels compiled ahead of need, on two processors: one lowers them to LLVM code, the other makes machine code of that.

Which kernels Python calls, and with what types, is heard from a run of the very code that will call them, in a process of its own
where kernels are plain Python (`python -m compiled.ahead MODULE`, whose `warm` is run). Each kernel is then lowered here, with all
that it is made of; a forked child, which has all that in its memory, finishes it, keeps it on disk, and ends.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import numba
from numba.core.errors import NumbaError

import compiled.kernel

Call = tuple[str, str, tuple[Any, ...]]  # a kernel's module and name, and numba's types of the arguments
ROOM = Path(__file__).parents[1]


def compile_calls(module: str) -> int:
    """Compile each kernel that a module's `warm` has Python call, and keep it. How many there are; 0 where this cannot be done
    ahead."""
    if sys.platform != "linux" or (os.cpu_count() or 1) < 2 or compiled.kernel.PURE:
        return 0
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    heard = subprocess.run([sys.executable, "-m", __name__, module], capture_output=True, cwd=ROOM, env=environment, check=False)
    if heard.returncode != 0:
        return 0
    calls: list[Call] = pickle.loads(heard.stdout)
    children: set[int] = set()
    for home, name, types in calls:
        kernel = getattr(importlib.import_module(home), name)
        if kernel._cache.load_overload(types, kernel.targetctx) is None:
            with suppress(NumbaError):  # which comes again, with a word on where, when the kernel is called
                kernel.get_call_template(types, {})
            if len(children) == os.cpu_count():
                children.remove(os.wait()[0])
            children.add(_finish(kernel, types))
    while children:
        children.remove(os.wait()[0])
    return len(calls)


def _finish(kernel: Any, types: tuple[Any, ...]) -> int:
    """A child that makes machine code of a kernel. If it cannot, whoever calls the kernel does."""
    if child := os.fork():
        return child
    try:
        with suppress(NumbaError):
            kernel.compile(types)
    finally:
        os._exit(0)


def calls_of(module: str) -> list[Call]:
    """The kernels that Python calls in a module's `warm`, each once for each of its types. Only where kernels are plain Python."""
    heard: dict[Call, None] = {}
    depth = 0

    def listening(function: Callable[..., Any], inline: bool = False) -> Callable[..., Any]:
        @wraps(function)
        def called(*given: Any) -> Any:
            nonlocal depth
            if depth == 0:
                heard[function.__module__, function.__qualname__, tuple(map(numba.typeof, given))] = None
            depth += 1
            try:
                return function(*given)
            finally:
                depth -= 1

        return called

    compiled.kernel.kernel = listening  # type: ignore[assignment]
    importlib.import_module(module).warm()
    return list(heard)


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(calls_of(sys.argv[1])))
