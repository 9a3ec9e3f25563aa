"""How the code looks: leftovers, ruff, mypy, and that the examples in docstrings run."""

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
PACKAGES = ("compiled", "contract", "reading", "windows", "config", "edge", "models", "producer", "consumer", "query", "sandbox")
ALL = (*PACKAGES, "benchmarks", "tests")
LEFTOVERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def files(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


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


def test_no_command_guesses_an_option_from_its_beginning() -> None:
    calls = [
        (path.relative_to(ROOT), call)
        for path in files(*ALL)
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).rsplit(".", 1)[-1] in ("ArgumentParser", "add_parser")
    ]
    guessing = [f"{path}:{call.lineno}" for path, call in calls if "allow_abbrev=False" not in map(ast.unparse, call.keywords)]
    assert len(calls) > 10 and guessing == []


def tool(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_ruff_finds_nothing() -> None:
    tool("ruff", "check", ".")


def test_ruff_would_format_nothing() -> None:
    tool("ruff", "format", "--check", ".")


def test_mypy_finds_nothing() -> None:
    tool("mypy", "--strict", *PACKAGES)
