"""How kernels are compiled: by numba, without the GIL, kept on disk for as long as what they are made of stays as it is.

A kernel is compiled twice, when it is asked for: as a part of each kernel that calls it (compiled/linked.py), and as a door once
Python calls it. Only doors are kept on disk, wherever numba finds a place (__pycache__ beside the source, NUMBA_CACHE_DIR, or a
folder of the user's), each under the stamp of all that it is made of (compiled/stamps.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba
from numba import types
from numba.core import caching

from compiled import linked
from compiled.stamps import stamp

F = TypeVar("F", bound=Callable[..., Any])
PURE = bool(getattr(numba.config, "DISABLE_JIT", False))  # kernels as plain Python, for debugging
# Division by zero gives inf or nan, as in numpy.
HOW: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
PART = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


NJIT: Any = numba.njit
OnDisk: Any = caching.FunctionCache


class Kept(OnDisk):  # type: ignore[misc]
    """What numba keeps of a kernel on disk, under our stamp instead of its file's time."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        self._cache_file._source_stamp = stamp(self._py_func)
        return super().load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        self._cache_file._source_stamp = stamp(self._py_func)
        super().save_overload(sig, data)


def kernel(function: F, inline: bool = False) -> F:
    """Compiled at its first call, and kept on disk."""
    if PURE:
        return function
    how = HOW | {"forceinline": inline}
    door: Any = NJIT(**how, **({"pipeline_class": linked.Door} if linked.AVAILABLE else {}))(function)
    part: Any = NJIT(**how, **PART, pipeline_class=linked.Part)(function) if linked.AVAILABLE else door
    asked, plain = part.get_call_template, cast("Any", types).unliteral

    def plainly(args: Any, kws: Any) -> Any:
        """Constants that a kernel is called with would each make it be compiled once more."""
        return asked(tuple(map(plain, args)), {name: plain(arg) for name, arg in kws.items()})

    door.get_call_template, door.get_overload = plainly, part.get_overload
    with suppress(RuntimeError):  # there is no place on disk: then each process compiles for itself
        door._cache = Kept(function)
    return cast("F", door)


def inlined(function: F) -> F:
    """A kernel that becomes a part of the one or two that call it: kernels hand on so many things that a call costs much."""
    return kernel(function, inline=True)
