"""Kernels compiled ahead: those that Python calls, as they are called, in children; whoever comes later compiles nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compiled.package import Package

AHEAD = "from compiled.ahead import compile_calls; print(compile_calls('plain_calls'))"
CALLS = """
from shop import doors
from shop.limits import Pair

def warm():
    doors.by_name(1), doors.by_name(2), doors.by_name(2.5), doors.by_argument(Pair(1, 2), 3), doors.factorial(3)
"""
CALLED = ("by_argument", "by_name", "factorial")


@pytest.fixture
def package(tmp_path: Path) -> Package:
    package = Package(tmp_path)
    package.write()
    (tmp_path / "plain_calls.py").write_text(CALLS)
    return package


def test_what_python_calls_is_compiled_and_kept(package: Package) -> None:
    assert package.run(AHEAD).split() == ["4"]
    assert [file.name.split("-")[0].removeprefix("doors.") for file in package.files()] == sorted([*CALLED, "by_name"])
    found = package.call(*CALLED, "by_module")
    assert (found.compiled, found.results) == (
        ["by_module"],
        {"by_argument": 39, "by_name": 115, "factorial": 120, "by_module": 12},
    )


def test_what_is_kept_already_is_not_compiled_again(package: Package) -> None:
    package.call("by_name")
    (file,) = package.files()
    before = file.stat().st_mtime_ns
    package.run(AHEAD)
    assert len(package.files()) == 4
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("wrong", ["raise ValueError", "def warm(): doors.by_name('x')"])
def test_what_cannot_be_heard_is_left_to_who_calls(package: Package, wrong: str) -> None:
    (package.folder / "plain_calls.py").write_text(f"from shop import doors\n{wrong}\n")
    assert package.run(AHEAD).split() == ["0"]


def test_what_cannot_be_compiled_is_left_to_who_calls(package: Package) -> None:
    package.change("doors.py", "else 1", "else [(1,), {}][0][0]")
    assert package.run(AHEAD).split() == ["4"]
    assert len(package.files()) == 3
