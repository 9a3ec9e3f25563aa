"""Asking a service that is away until it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from contract.errors import Retryable

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds between two tries
log = structlog.get_logger("consumer")
T = TypeVar("T")


def patiently(who: str, ask: Callable[[], T], wait: Callable[[float], None]) -> T:
    """The answer, once it is not Retryable any more. `wait` may raise to give up."""
    pause = FIRST_WAIT
    while True:
        try:
            return ask()
        except Retryable as error:
            seconds = max(pause, error.after or 0.0)
            log.warning(f"{who} cannot be used yet; trying again", in_s=seconds, why=str(error))
            wait(seconds)
            pause = min(2 * pause, LONGEST_WAIT)
