"""A package of kernels in a folder of its own, as it is on disk, and what a fresh process finds when it calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = {
    "__init__.py": "",
    "limits.py": """
from typing import NamedTuple

LIMIT = 100
STEPS = (1, 2)
FAR = 7
UNREAD = 1

class Pair(NamedTuple):
    left: int
    right: int
""",
    "inner.py": """
from compiled.kernel import inlined, kernel
import shop.limits
from shop import limits
from shop.limits import STEPS, Pair
from shop.mark import mark

def made(n):
    @kernel
    def more(x):
        return x + n
    return more

more = made(1000)

@kernel
def add(x, by=10):
    return x + by

@inlined
def difference(pair):
    return pair.left - pair.right

@kernel
def swapped(x):
    return difference(Pair(right=x, left=2 * x))
""",
    "mark.py": """
from numba import types
from numba.extending import intrinsic
from shop.offset import OFFSET

@intrinsic
def mark(typing, x):
    def code(context, builder, signature, args):
        return builder.add(args[0], context.get_constant(types.int64, OFFSET))
    return types.int64(types.int64), code
""",
    "offset.py": "OFFSET = 1\n",
    "doors.py": """
import numpy as np
import shop.limits
from compiled.kernel import kernel
from shop import inner, limits
from shop.limits import LIMIT, STEPS

@kernel
def by_name(x):
    return inner.add(x) + LIMIT

@kernel
def by_module(x):
    return x + limits.FAR

@kernel
def by_package(x):
    return x + shop.limits.FAR

@kernel
def by_tuple(x):
    return x + STEPS[0] + 10 * STEPS[1]

@kernel
def by_argument(pair, x):
    return 10 * pair[0] + pair.right + x

@kernel
def by_intrinsic(x):
    return inner.mark(x)

@kernel
def by_order(x):
    return inner.swapped(x)

@kernel
def by_closure(x):
    return inner.more(x)

@kernel
def within(x):
    def twice(y):
        return y + y
    return twice(x) + sum([i for i in range(3)])

@kernel
def factorial(x):
    return x * factorial(x - 1) if x > 1 else 1

@kernel
def checked(x):
    if x < 0:
        raise ValueError("less than nothing")
    return x

@kernel
def allocating(x):
    held = np.full(3, checked(x))
    return held.sum() + factorial(4)
""",
}
RESULTS = {
    "by_name": 115, "by_module": 12, "by_package": 12, "by_tuple": 26, "by_argument": 39, "by_intrinsic": 6, "by_order": 5,
    "by_closure": 1005, "within": 13, "factorial": 120, "checked": 5, "allocating": 39,
}  # fmt: skip
CALL = """
import json
{before}
from shop import doors
from shop.limits import Pair
kernels = {{name: getattr(doors, name) for name in {names}}}
found = {{name: int(call(*([Pair(3, 4)] if name == "by_argument" else []), 5)) for name, call in kernels.items()}}
compiled = sorted(name for name, call in kernels.items() if call.stats.cache_misses)
folders = sorted({{str(call.stats.cache_path) for call in kernels.values()}})
print(json.dumps([found, compiled, folders]))
"""


class Found:
    """What a process found: results by kernel, the kernels that it compiled, the folder that they are kept in."""

    def __init__(self, said: str) -> None:
        self.results: dict[str, int]
        self.compiled: list[str]
        self.results, self.compiled, (self.folder,) = json.loads(said)


class Package:
    """The package `shop` in a folder; its sources, and what becomes of them."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.environment = folder, environment

    def write(self) -> None:
        """The sources as they stand above."""
        (self.folder / "shop").mkdir(parents=True)
        for name, text in SOURCES.items():
            (self.folder / "shop" / name).write_text(text)

    def change(self, file: str, old: str, new: str) -> None:
        """Edit a source; its size and time may stay as they are."""
        path = self.folder / "shop" / file
        text, times = path.read_text(), path.stat()
        assert old in text
        path.write_text(text.replace(old, new))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def run(self, script: str, **environment: str) -> str:
        """What a script says, in a process of its own that knows the package."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
        known = {"PYTHONPATH": f"{ROOT}:{self.folder}", "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True, text=True, check=False, cwd=self.folder, env=own | known | self.environment | environment,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def call(self, *names: str, before: str = "", **environment: str) -> Found:
        """Call kernels, all if none is named, in a process of its own."""
        return Found(self.run(CALL.format(before=before, names=names or tuple(RESULTS)), **environment))

    def files(self, under: str = "") -> list[Path]:
        """What is kept on disk."""
        return sorted((self.folder / under).rglob("*.nb[ic]"))
