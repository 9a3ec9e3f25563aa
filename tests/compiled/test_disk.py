"""Where compiled kernels are kept, and what becomes of it when that place is strange, full or damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compiled.disk import Files, Kept
from compiled.kernel import PURE, kernel
from tests.compiled.package import Package

pytestmark = pytest.mark.skipif(PURE, reason="nothing is compiled")


def beside_the_source(folder: Path) -> Package:
    """The folder's own __pycache__."""
    return Package(folder)


def in_a_folder_that_is_named(folder: Path) -> Package:
    """NUMBA_CACHE_DIR."""
    return Package(folder, NUMBA_CACHE_DIR=str(folder / "named"))


def in_the_users_folder(folder: Path) -> Package:
    """A source folder that cannot be written: a file stands in its __pycache__'s place, which stops also a root."""
    return Package(folder, XDG_CACHE_HOME=str(folder / "home"))


PLACES: dict[Callable[[Path], Package], str] = {
    beside_the_source: "shop/__pycache__",
    in_a_folder_that_is_named: "named",
    in_the_users_folder: "home",
}


@pytest.mark.parametrize("place", PLACES)
def test_code_is_kept_wherever_there_is_a_place_and_never_stale(tmp_path: Path, place: Callable[[Path], Package]) -> None:
    package = place(tmp_path)
    package.write()
    if place is in_the_users_folder:
        (tmp_path / "shop" / "__pycache__").write_text("")
    assert package.call("by_name", "by_module").compiled == ["by_module", "by_name"]
    assert package.files() == package.files(PLACES[place]) != []
    package.change("limits.py", "LIMIT = 100", "LIMIT = 900")
    found = package.call("by_name", "by_module")
    assert (found.compiled, found.results) == (["by_name"], {"by_name": 915, "by_module": 12})


def test_without_any_place_each_process_compiles(tmp_path: Path) -> None:
    package = in_the_users_folder(tmp_path)
    package.write()
    (tmp_path / "shop" / "__pycache__").write_text("")
    (tmp_path / "home").write_text("")
    for _ in range(2):
        found = package.call("by_name")
        assert (found.compiled, found.results, found.folder) == (["by_name"], {"by_name": 115}, "None")


def test_a_damaged_file_is_compiled_again(tmp_path: Path) -> None:
    package = beside_the_source(tmp_path)
    package.write()
    package.call("by_name", "by_module", "checked")
    cut, flipped, empty = package.files()
    cut.write_bytes(cut.read_bytes()[:-7])
    flipped.write_bytes(bytes(byte ^ 1 for byte in flipped.read_bytes()[:400]) + flipped.read_bytes()[400:])
    empty.write_bytes(b"")
    found = package.call("by_name", "by_module", "checked")
    assert (len(found.compiled), found.results) == (3, {"by_name": 115, "by_module": 12, "checked": 5})
    assert package.call("by_name", "by_module", "checked").compiled == []


@kernel
def one_more(x: int) -> int:
    """A kernel of this file's."""
    return x + 1


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, one_more)


def test_what_was_kept_comes_back_and_other_keys_and_kernels_have_their_own(files: Files, tmp_path: Path) -> None:
    files.save(("a",), [1])
    files.save(("b",), [2])
    other = tmp_path / "test_disk.one_more_and_one-x"
    other.touch()
    assert (files.load(("a",)), files.load(("b",)), files.load(("c",))) == ([1], [2], None)
    files.flush()
    assert files.load(("a",)) is None
    assert list(tmp_path.iterdir()) == [other]


def test_what_names_something_that_is_gone_is_none(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.save("key", beside_the_source)
    assert files.load("key") is beside_the_source
    monkeypatch.delattr(f"{__name__}.beside_the_source")
    assert files.load("key") is None


def test_what_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Files, key: object, data: object) -> None:
        raise OSError(28, "No space left on device")

    @kernel
    def unkept(x: int) -> int:
        return x + 2

    monkeypatch.setattr(Files, "save", full)
    assert unkept(1) == 3


def test_a_kernel_is_forgotten_when_it_is_asked_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    place = Kept(one_more)
    place.flush()
    assert place.cache_path is not None
    assert Path(place.cache_path).parent == tmp_path
