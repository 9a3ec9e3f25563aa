"""A worker's seat: the same name after every restart, nobody else in it, and a directory that can be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.host.kcl_files import Worker
from consumer.host.seat import held, home, run_directory, worker_id
from consumer.kinesis import StreamInfo
from contract.errors import Misconfigured
from tests.consumer.kcl.daemon import ROOT

INFO = StreamInfo("shop", "arn:aws:kinesis:us-east-1:1:stream/shop", 1_767_000_000_000)
OURS, OTHER = Worker("host-0", INFO, "us-east-1", None, "http://a:1"), Worker("host-1", INFO, "us-east-1", None, "http://a:1")
HOLD = """
import sys
from pathlib import Path
from consumer.host.seat import held
from tests.consumer.host.test_seat import OURS
with held(OURS, Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_name_is_the_same_after_a_restart_and_another_in_each_slot() -> None:
    assert worker_id(None, 0) == worker_id(None, 0) != worker_id(None, 1)
    assert worker_id("a pod/ä.b", 3) == "a-pod--.b-3"
    assert all(c.isalnum() or c in "-." for c in worker_id(None, 0))


def test_a_second_one_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    #  another process  [== holds the seat ========= kill -9
    #  this one              refused, twice over            takes it
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(Misconfigured, match="runs on this machine already"), held(OURS, elsewhere):
            pass
        with pytest.raises(Misconfigured, match=f"runs already, in {tmp_path}"), held(OTHER, tmp_path):
            pass
        with held(OTHER, elsewhere):
            pass
    finally:
        process.kill()
        process.communicate()
    with held(OURS, tmp_path), held(OTHER, elsewhere):
        pass


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ({"XDG_STATE_HOME": "/x", "HOME": "/nowhere"}, "/x/eddy"),
        ({"XDG_STATE_HOME": "not/absolute", "HOME": "HERE"}, "HERE/.local/state/eddy"),
        ({"HOME": "HERE"}, "HERE/.local/state/eddy"),
        ({"HOME": "/"}, f"TEMP/eddy-{os.getuid()}"),
        ({"HOME": "/nowhere"}, f"TEMP/eddy-{os.getuid()}"),
        ({}, f"TEMP/eddy-{os.getuid()}"),
    ],
)
def test_where_its_directory_lies(env: dict[str, str], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/temp")
    env = {name: value.replace("HERE", str(tmp_path)) for name, value in env.items()}
    assert str(home(None, env)) == found.replace("HERE", str(tmp_path)).replace("TEMP", "/temp")
    assert home(Path("/given"), env) == Path("/given")


def test_a_directory_that_cannot_be_made_is_told_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="EDDY_STATE"):
        run_directory(tmp_path / "file", OURS)
    run = run_directory(tmp_path / "a", OURS)
    assert run.is_dir()
    assert run != run_directory(tmp_path / "a", OTHER)
