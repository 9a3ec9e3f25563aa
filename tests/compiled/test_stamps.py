"""What is kept of a kernel is used for as long as nothing that it is made of has changed, and no longer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.compiled.package import RESULTS, Package


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's folder, all its kernels compiled and kept beside their sources."""
    package = Package(tmp_path_factory.mktemp("kept"))
    package.write()
    found = package.call()
    assert found.results == RESULTS
    assert found.compiled == sorted(RESULTS)
    return package.folder


# What is changed where, and the other results that this has: they are what is compiled again.
CHANGES: dict[str, tuple[str, str, str, dict[str, int]]] = {
    "a constant that is imported by name": ("limits.py", "LIMIT = 100", "LIMIT = 900", {"by_name": 915}),
    "a constant of an imported module": ("limits.py", "FAR = 7", "FAR = 8", {"by_module": 13, "by_package": 13}),
    "one of a tuple": ("limits.py", "(1, 2)", "(1, 3)", {"by_tuple": 36}),
    "the order of fields": (
        "limits.py",
        "left: int\n    right: int",
        "right: int\n    left: int",
        {"by_argument": 38, "by_order": 5},
    ),
    "what a kernel's function is built from": ("offset.py", "OFFSET = 1", "OFFSET = 2", {"by_intrinsic": 7}),
    "an argument that is left out": ("inner.py", "by=10", "by=20", {"by_name": 125}),
    "a kernel that others call": ("inner.py", "pair.left - pair.right", "pair.left + pair.right", {"by_order": 15}),
    "how a kernel is compiled": ("inner.py", "@kernel\ndef swapped", "@inlined\ndef swapped", {"by_order": 5}),
    "what a kernel closes over": ("inner.py", "made(1000)", "made(2000)", {"by_closure": 2005}),
    "a function within a kernel": ("doors.py", "return y + y", "return y * y", {"within": 28}),
    "a kernel that calls itself": ("doors.py", "else 1", "else 2", {"factorial": 240, "allocating": 63}),
}
NOTHING = {
    "a constant that no kernel reads": ("limits.py", "UNREAD = 1", "UNREAD = 2"),
    "what a type says of itself": ("limits.py", "class Pair(NamedTuple):", 'class Pair(NamedTuple):\n    "Two."'),
    "a comment": ("inner.py", "@kernel\ndef add", "# adds\n@kernel\ndef add"),
    "lines above a door": ("doors.py", "@kernel\ndef by_name", "# first\n\n\n@kernel\ndef by_name"),
}


@pytest.fixture
def package(kept: Path, tmp_path: Path) -> Package:
    """A copy with its compiled kernels, to change."""
    shutil.copytree(kept, tmp_path / "copy")
    return Package(tmp_path / "copy")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_compiles_again_what_it_is_part_of(package: Package, change: str) -> None:
    *edit, results = CHANGES[change]
    before = package.files()
    package.change(*edit)
    found = package.call()
    assert found.results == RESULTS | results
    assert found.compiled == sorted(results)
    gone = sorted(file.name.split("-")[0] for file in before if not file.exists())
    # what older sources left is gone; but what is for other types of arguments may still be of use
    assert gone == sorted(f"doors.{name}" for name in results if name != "by_argument")


def test_what_no_kernel_is_made_of_may_change(package: Package) -> None:
    before = package.files()
    for edit in NOTHING.values():
        package.change(*edit)
    assert package.call().compiled == []
    assert package.files() == before


def test_other_settings_of_numba_have_code_of_their_own(package: Package) -> None:
    assert package.call("by_name", NUMBA_OPT="1").compiled == ["by_name"]
    assert package.call("by_name").compiled == package.call("by_name", NUMBA_OPT="1").compiled == []
