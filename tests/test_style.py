"""How the code looks: lengths, leftovers, ruff, mypy, and that the examples in docstrings run."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("windows", "contract", "config", "producer", "consumer", "models", "query", "sandbox")
ALL = (*PACKAGES, "benchmarks", "tests")
LONGEST_FUNCTION = 40
LONGEST_FILE = 250
LEFTOVERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def files(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def long_functions(source: str) -> list[str]:
    """Name and length of each function that is too long, from its `def` to its last line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                found.append(f"{node.name} ({length} lines)")
    return found


def test_no_function_is_long() -> None:
    found = [f"{path.relative_to(ROOT)}: {f}" for path in files(*ALL) for f in long_functions(path.read_text())]
    assert found == []


def test_the_check_sees_a_long_function() -> None:
    assert long_functions("def f():\n" + "    x = 1\n" * 39) == []
    assert long_functions("class C:\n  async def f():\n" + "    x = 1\n" * 40) == ["f (41 lines)"]


def test_no_file_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files(*ALL)}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_nothing_is_left_for_later() -> None:
    found = [str(path.relative_to(ROOT)) for path in files(*ALL) if LEFTOVERS.search(path.read_text())]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    bare = [p for p in files(*PACKAGES) if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert bare == []


def modules() -> list[str]:
    paths = (p.relative_to(ROOT) for p in files(*PACKAGES) if p.name not in ("__main__.py", "__init__.py"))
    return [".".join(path.with_suffix("").parts) for path in paths if ">>>" in (ROOT / path).read_text()]


@pytest.mark.parametrize("module", modules())
def test_examples_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted
    assert not result.failed


def tool(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_ruff_finds_nothing() -> None:
    tool("ruff", "check", ".")


def test_ruff_would_format_nothing() -> None:
    tool("ruff", "format", "--check", ".")


def test_mypy_finds_nothing() -> None:
    tool("mypy", "--strict", *PACKAGES)
