"""The law is one: every test here runs on each engine that is listed."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.windows.build import Factory
from windows.naive.engine import NaiveEngine

ENGINES: dict[str, Factory] = {"naive": NaiveEngine}

PATIENT = settings.get_profile("patient")
settings.register_profile("short", PATIENT, max_examples=60)
settings.register_profile("soak", PATIENT, max_examples=int(os.environ.get("EDDY_SOAK") or 1))
settings.load_profile("soak" if os.environ.get("EDDY_SOAK") else "short")


@pytest.fixture(params=list(ENGINES), scope="session")
def make(request: pytest.FixtureRequest) -> Factory:
    """How an engine is made for window sets."""
    return ENGINES[request.param]
