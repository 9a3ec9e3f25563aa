"""Every test of the law that is written for any engine."""

from __future__ import annotations

from tests.windows.test_grid import *  # noqa: F403
from tests.windows.test_measures import *  # noqa: F403
from tests.windows.test_retraction import *  # noqa: F403
from tests.windows.test_rolling import *  # noqa: F403
from tests.windows.test_session import *  # noqa: F403
from tests.windows.test_state import *  # noqa: F403
from tests.windows.test_zones import *  # noqa: F403
from tests.windows.test_properties import *  # noqa: F403
