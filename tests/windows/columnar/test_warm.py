"""What is compiled ahead is all that Python calls: what is left out makes a shard wait, with its records, for the compiler."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]


def decorated(file: Path) -> set[str]:
    """The kernels of a file."""
    functions = (node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef))
    return {f.name for f in functions if any(ast.unparse(d) == "kernel" for d in f.decorator_list)}


def called(folder: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each kernel that plain Python in a folder imports by its name and calls."""
    for file in (ROOT / folder).glob("*.py"):
        tree = ast.parse(file.read_text())
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("windows.kernels"):
                home = ROOT.joinpath(*(node.module or "").split(".")).with_suffix(".py")
                kernels = decorated(home) if home.exists() else set[str]()
                yield from ((node.module or "", a.name) for a in node.names if a.name in kernels & calls)


def test_every_kernel_that_the_engine_calls_is_compiled_ahead() -> None:
    heard = subprocess.run(
        [sys.executable, "-m", "compiled.ahead", "windows.columnar.warm"], cwd=ROOT, env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True, check=True,
    )  # fmt: skip
    ahead = {(module, name) for module, name, _ in pickle.loads(heard.stdout)}
    asked = set(called("windows/columnar"))
    assert len(asked) > 20
    assert asked - ahead == set()
