"""Memory that a process has given back comes as fresh pages the next time, and those cost more than reading a batch into them.

So whoever reads batch after batch has glibc keep what is freed, up to the most that one batch has needed. Any other C library is
left as it is.
"""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # what mallopt calls them
KEPT, LARGEST = 1 << 28, 1 << 25  # bytes that are kept at the heap's end; a single piece beyond 32 MB still goes back at once


@cache
def keep_memory() -> bool:
    """Whether it is so from now on, in the whole process."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT) and mallopt(MMAP_THRESHOLD, LARGEST))
