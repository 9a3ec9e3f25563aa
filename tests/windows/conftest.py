"""The engine that tests here are about, where they name none, and how many examples are drawn."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.windows.build import Factory
from windows.columnar.engine import ColumnarEngine

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("columnar", settings.get_profile("patient"), max_examples=100, suppress_health_check=SLOW)
settings.register_profile("columnar-soak", settings.get_profile("columnar"), max_examples=int(os.environ.get("EDDY_SOAK") or 1))
settings.load_profile("columnar-soak" if os.environ.get("EDDY_SOAK") else "columnar")


@pytest.fixture(scope="session")
def make() -> Factory:
    """How an engine is made for window sets."""
    return ColumnarEngine
