"""Chaos on real parts, in its short form: every kind of fault once at least, and every view right in the end.

It takes about five minutes of a processor, so it runs only where it is asked for (EDDY_CHAOS=1, or EDDY_SOAK=1: ten times as long).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.processes import leash
from tests.chaos.parts import ROOT
from tests.chaos.plan import KINDS, RESHARDS
from tests.chaos.run import WITHOUT

SECONDS = "600" if "EDDY_SOAK" in os.environ else "60"
SEED = "1"


@pytest.mark.skipif(
    "EDDY_CHAOS" not in os.environ and "EDDY_SOAK" not in os.environ,
    reason="takes about five minutes of a processor; EDDY_CHAOS=1 or EDDY_SOAK asks for it, and so does `make chaos`",
)
@pytest.mark.timeout(3_000)
def test_whatever_ends_stalls_or_fails_the_views_are_right(tmp_path: Path) -> None:
    home = {"CHAOS_SECONDS": SECONDS, "SEED": SEED, "CHAOS_HOME": str(tmp_path / "chaos")}
    told = subprocess.run(
        [sys.executable, "-m", "tests.chaos"], cwd=ROOT, env=os.environ | home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False, preexec_fn=leash(os.getpid()),
    )  # fmt: skip
    assert told.returncode == 0, told.stdout
    last = told.stdout.splitlines()[-1]
    assert re.search(r" faults survived .*; 0 of \d+ views differ$", last), told.stdout
    possible = [kind for kind in KINDS if kind not in RESHARDS or WITHOUT not in told.stdout]
    assert [kind for kind in possible if f"{kind} " not in last] == []
    print(told.stdout)
