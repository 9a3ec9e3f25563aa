"""Kernels within kernels: only what Python calls becomes machine code, and it says the same as numba's plain way."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiled import linked
from tests.compiled.package import RESULTS, Package

PLAINLY = "from compiled import linked; linked.AVAILABLE = False"
ANOTHER = "import numba; numba.__version__ = '0.99.0'"
RAISES = """
from shop import doors
for call in (doors.checked, doors.allocating):
    try:
        call(-1)
    except ValueError as error:
        print(error)
"""


@pytest.fixture
def package(tmp_path: Path) -> Package:
    package = Package(tmp_path)
    package.write()
    return package


def test_this_version_of_numba_is_one_that_we_know() -> None:
    """If this fails after an upgrade, look at compiled/linked.py beside numba's codegen.py and compiler.py, and add it to KNOWN."""
    assert linked.AVAILABLE


@pytest.mark.parametrize("before", [PLAINLY, ANOTHER])
def test_the_plain_way_says_the_same_and_is_kept_too(package: Package, before: str) -> None:
    found = package.call(before=before)
    assert (found.results, found.compiled) == (RESULTS, sorted(RESULTS))
    assert package.call("by_name", before=before).compiled == []


def test_only_doors_become_machine_code(package: Package) -> None:
    package.call("by_name", "by_order")
    assert [file.name.split("-")[0] for file in package.files()] == ["doors.by_name", "doors.by_order"]


def test_a_part_that_python_calls_is_a_door_too(package: Package) -> None:
    script = (
        "from shop import doors, inner; print(doors.by_name(5), inner.add(5, 1), inner.add(5), inner.add(5.5, 1), doors.by_name(6))"
    )
    for _ in range(2):
        assert package.run(script).split() == ["115", "6", "15", "6.5", "116"]


def test_errors_of_parts_come_through(package: Package) -> None:
    for _ in range(2):  # compiled, and from disk
        assert package.run(RAISES).splitlines() == ["less than nothing"] * 2


def test_without_compiling_all_is_plain_python(package: Package) -> None:
    script = (
        "from shop import doors; print(doors.by_name(5), doors.by_order(5), doors.allocating(5), hasattr(doors.by_name, 'stats'))"
    )
    assert package.run(script, NUMBA_DISABLE_JIT="1").split() == ["115", "5", "39", "False"]
