"""The law's own tests, on the columnar engine."""

from __future__ import annotations

import pytest

from tests.windows.build import Factory
from windows.columnar import ColumnarEngine


@pytest.fixture(scope="session")
def make() -> Factory:
    """How an engine is made for window sets."""
    return ColumnarEngine
