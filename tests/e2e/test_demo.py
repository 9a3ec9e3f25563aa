"""`make demo` as a user runs it, shorter: it verifies with 0 differences, ends all that it started, and takes a Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sandbox.processes import leash
from tests.e2e.conftest import ROOT, until

SECONDS = "20"


def start(home: Path, seconds: str) -> subprocess.Popen[str]:
    """A demo in a directory of its own."""
    env = {**os.environ, "EDDY_SANDBOX": str(home), "DEMO_SECONDS": seconds}
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", "demo"], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, preexec_fn=leash(os.getpid()),  # noqa: PLW1509
    )  # fmt: skip


def left_behind(home: Path) -> list[list[str]]:
    """Processes that were started for that directory: each has it in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("EDDY_SANDBOX", "").startswith(str(home)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.mark.timeout(400)
def test_a_demo_verifies_and_ends_what_it_started(tmp_path: Path) -> None:
    demo = start(tmp_path, SECONDS)
    said = demo.communicate()[0]
    assert demo.returncode == 0, said
    found = re.search(r"^checked (\d+) windows, (\d+) rolling values, (\d+) carts: 0 differ", said, re.MULTILINE)
    assert found is not None, said
    windows, rolling, carts = (int(n) for n in found.groups())
    assert windows > 50
    assert rolling > 2_000
    assert carts > 0
    assert "KCL takes its first lease" in said
    assert left_behind(tmp_path) == []


@pytest.mark.timeout(200)
def test_ctrl_c_ends_everything_and_another_demo_may_follow(tmp_path: Path) -> None:
    for _ in range(2):
        demo = start(tmp_path, "300")
        said = ""
        assert demo.stdout is not None
        while "live:" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        assert len(left_behind(tmp_path)) >= 5  # or the check below says nothing
        began = time.monotonic()
        demo.send_signal(signal.SIGINT)
        said += demo.communicate()[0]
        assert demo.returncode == 130, said
        assert "interrupted" in said
        assert time.monotonic() - began < 60
        assert left_behind(tmp_path) == []


@pytest.mark.timeout(200)
def test_a_demo_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    demo = start(tmp_path, "300")
    assert demo.stdout is not None
    while (line := demo.stdout.readline()) and "live:" not in line:
        pass
    demo.kill()
    demo.wait()
    until("everything has ended", lambda: not left_behind(tmp_path), 90)
