"""Every test of the law that is written for any engine, on the columnar one (the fixture `make` is this folder's)."""

from __future__ import annotations

from tests.windows.law import (
    test_grid,
    test_measures,
    test_properties,
    test_retraction,
    test_rolling,
    test_session,
    test_state,
    test_zones,
)

for _module in (test_grid, test_measures, test_properties, test_retraction, test_rolling, test_session, test_state, test_zones):
    _short = _module.__name__.rpartition("test_")[2]
    globals().update({f"{name}__{_short}": test for name, test in vars(_module).items() if name.startswith("test_")})
