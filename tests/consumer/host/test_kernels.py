"""Kernels are compiled before children start: once, whatever the compilers do."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from consumer.host import kernels
from consumer.host.kernels import WARMERS, compiling


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_the_compilers_are_there() -> None:
    for *_, module in WARMERS:
        assert (kernels.ROOT / f"{module.replace('.', '/')}.py").exists()


def test_it_is_waited_for_all_that_compile_at_the_same_time(tmp_path: Path) -> None:
    #  one  waits for the other's file, then writes its own      both: only done if they run side by side
    both = [
        python(
            f"import pathlib, time\npathlib.Path({str(tmp_path / mine)!r}).touch()\n"
            f"while not pathlib.Path({str(tmp_path / other)!r}).exists(): time.sleep(0.01)"
        )
        for mine, other in ("ab", "ba")
    ]
    with capture_logs() as logs, compiling(time.sleep, both) as compiled:
        compiled()
        assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}
    assert logs == []


def test_what_takes_long_is_told_once_and_what_fails_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "QUICK", 0.0)
    monkeypatch.setattr(kernels, "log", structlog.get_logger())
    failing = python("import sys, time; print('x' * 100_000, file=sys.stderr); time.sleep(0.3); sys.exit('no compiler here')")
    with capture_logs() as logs, compiling(time.sleep, [failing]) as compiled:
        compiled()
    assert [entry["log_level"] for entry in logs] == ["info", "warning"]
    assert logs[1]["why"] == "no compiler here"


def test_who_gives_up_leaves_no_compiler_behind(tmp_path: Path) -> None:
    class Ended(Exception):
        pass

    told = tmp_path / "pid"

    def wait(seconds: float) -> None:
        time.sleep(seconds)
        if told.exists() and told.read_text():
            raise Ended

    code = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(600)"
    with pytest.raises(Ended), compiling(wait, [python(code)]) as compiled:
        compiled()
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_what_is_compiled_is_not_asked_for_again_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, stamp = tmp_path / "done", tmp_path / "stamp"
    warmer = python(f"import pathlib\nwith pathlib.Path({str(done)!r}).open('a') as file: file.write('x')")

    def runs(*warmers: tuple[str, ...]) -> int:
        with compiling(time.sleep, warmers, stamp) as compiled:
            compiled()
        return len(done.read_text())

    assert (runs(warmer), runs(warmer)) == (1, 1)
    monkeypatch.setenv("NUMBA_OPT", "1")
    assert (runs(warmer), runs(warmer)) == (2, 2), "other settings"
    room = tmp_path / "sources" / "windows"
    room.mkdir(parents=True)
    monkeypatch.setattr(kernels, "ROOT", room.parent)
    (room / "one.py").write_text("a = 1")
    assert (runs(warmer), runs(warmer)) == (3, 3), "other sources"
    (room / "one.py").write_text("a = 2")
    assert (runs(warmer), runs(warmer)) == (4, 4), "another text in one of them"
    stamp.unlink()
    assert runs(warmer, python("raise SystemExit(1)")) == 5
    assert runs(warmer) == 6, "what failed is tried again"


def test_the_stamp_lies_with_what_is_kept() -> None:
    assert kernels.stamp_of({"NUMBA_CACHE_DIR": "/kept"}).parent == Path("/kept")
    assert kernels.stamp_of({}).parent == kernels.ROOT / "windows" / "__pycache__"
