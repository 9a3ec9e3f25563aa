"""Some runs of the simulator, each decided by its seed: all is as it must be, and every point where a process can die was hit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT

SEEDS = "0-3000" if "EDDY_SOAK" in os.environ else "0-150"


@pytest.mark.timeout(1_800)
def test_whatever_goes_wrong_the_views_are_those_of_the_twin() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.sim.run", "--seeds", SEEDS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
