"""Asking a service that is away until it answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

import structlog

from contract.errors import Retryable

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between two tries
log = structlog.get_logger()
T = TypeVar("T")


def backoff(failures: int, spread: float, first: float = FIRST_WAIT, longest: float = LONGEST_WAIT) -> float:
    """Seconds to wait after so many failures in a row; spread in [0, 1) keeps many from coming back at once.

    >>> backoff(1, 0.0), backoff(2, 0.5), backoff(30, 0.999)
    (0.5, 1.5, 30.0)
    """
    return min(longest, first * 2.0 ** min(failures - 1, 20) * (1.0 + spread))


def patiently(
    who: str,
    ask: Callable[[], T],
    wait: Callable[[float], None],
    spread: Callable[[], float] = random.random,
    longest: float = LONGEST_WAIT,
) -> T:
    """The answer, once it is not Retryable any more. `wait` may raise to give up; `longest` s pass between two tries."""
    failures = 0
    while True:
        try:
            answer = ask()
        except Retryable as error:
            failures += 1
            seconds = max(backoff(failures, spread(), longest=longest), error.after or 0.0)
            log.warning("waiting", of=who, seconds=round(seconds, 2), failures=failures, why=str(error))
            wait(seconds)
            continue
        if failures:
            log.info("going on", of=who, failures=failures)
        return answer
