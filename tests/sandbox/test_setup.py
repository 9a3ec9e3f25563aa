"""What `make setup` decides by: the lock, the jars."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from sandbox import setup


def test_every_package_of_the_lock_is_found_with_its_hashes() -> None:
    locked = list(setup.locked())
    lines = [line for line in setup.LOCK.read_text().splitlines() if "==" in line and not line.lstrip().startswith("#")]
    assert len(locked) == len(lines) > 50
    assert all(block.startswith(lines[i].split("==")[0]) and "--hash=sha256:" in block for i, (_, _, block) in enumerate(locked))
    hashes = setup.LOCK.read_text().count("--hash=sha256:")
    assert sum(block.count("--hash=sha256:") for _, _, block in locked) == hashes
    assert set(setup.BUILDERS) <= {name for name, _, _ in locked}


def kcl_jars() -> Path:
    spec = importlib.util.find_spec("amazon_kclpy")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "jars"


def test_missing_and_damaged_jars_are_seen(tmp_path: Path) -> None:
    assert setup.missing_jars(kcl_jars()) is None
    copies = tmp_path / "jars"
    shutil.copytree(kcl_jars(), copies, copy_function=shutil.copy)
    one, other = sorted(copies.glob("*.jar"))[:2]
    one.write_bytes(b"<html>not found</html>")
    assert setup.missing_jars(copies) == f"damaged: {one.name}"
    other.unlink()
    assert (setup.missing_jars(copies) or "").startswith(f"{setup.JARS - 1} of {setup.JARS} jars")


def test_nothing_is_done_twice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(setup, "STAMP", setup.LOCK.parent / "no such stamp")
    monkeypatch.setattr(setup, "pip", lambda arguments: pytest.fail(f"pip {arguments}"))
    setup.environment()
    setup.packages(setup.BUILDERS)
    setup.packages(None)
    setup.jars()
    assert capsys.readouterr().out == ""


def test_kernels_are_compiled_when_a_source_of_theirs_changes_and_else_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [b"one"]
    monkeypatch.setattr(setup, "WARM_STAMP", tmp_path / "made" / "stamp")
    monkeypatch.setattr(setup, "kernel_sources", lambda: iter(sources))
    monkeypatch.setattr(setup, "WARM", ("consumer.intake.warm",))
    for changed in (True, False, True, False):
        setup.kernels()
        said = capsys.readouterr().out
        assert ("records can be read after" in said) == changed
        sources += [b"two"] if not changed and len(sources) == 1 else []
    monkeypatch.setattr(setup, "WARM", ("no_such_module",))
    sources += [b"three"]
    for _ in range(2):  # what failed is tried again
        setup.kernels()
        assert "numba could not compile ahead" in capsys.readouterr().out


def test_sources_of_kernels_are_those_of_windows_and_reading() -> None:
    found = b"".join(setup.kernel_sources())
    assert b"def read_rows" in found
    assert b"def event_put" in found
