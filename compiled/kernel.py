"""How kernels are compiled: by numba, without the GIL, kept on disk for as long as what they are made of stays as it is.

A kernel is compiled twice, when it is asked for: as a part of each kernel that calls it (compiled/linked.py), and as a door once
Python calls it. Only doors are kept on disk (compiled/disk.py), each under the stamp of all that it is made of
(compiled/stamps.py).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba
from numba import types

from compiled import linked
from compiled.disk import Kept

F = TypeVar("F", bound=Callable[..., Any])
PURE = bool(getattr(numba.config, "DISABLE_JIT", False))  # kernels as plain Python, for debugging
# Division by zero gives inf or nan, as in numpy.
HOW: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
PART = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
NJIT: Any = numba.njit


def _without_blas() -> None:
    """Load numba's part on arrays, which looks for scipy's BLAS: a quarter of a second of imports, at the first kernel of a
    process, for matrix products that no kernel makes. Here it finds none."""
    if not PURE and "scipy.linalg" not in sys.modules:
        sys.modules["scipy.linalg"] = None  # type: ignore[assignment]
        try:
            importlib.import_module("numba.np.arraymath")
        finally:
            del sys.modules["scipy.linalg"]


_without_blas()


def kernel(function: F, inline: bool = False) -> F:
    """Compiled at its first call, and kept on disk."""
    if PURE:
        return function
    how = HOW | {"forceinline": inline}
    door: Any = NJIT(**how, **({"pipeline_class": linked.Door} if linked.AVAILABLE else {}))(function)
    door._cache = Kept(door)
    asked, overload = door.get_call_template, door.get_overload

    @cache
    def part() -> Any:
        """What other kernels call: made for the first of them."""
        made: Any = NJIT(**how, **PART, pipeline_class=linked.Part)(function)
        made._compiling_counter = door._compiling_counter  # or else one that calls itself would not be seen to
        return made

    def plainly(args: Any, kws: Any) -> Any:
        """Constants that a kernel is called with would each make it be compiled once more."""
        plain: Any = types.unliteral
        ask = part().get_call_template if linked.AVAILABLE else asked
        return ask(tuple(map(plain, args)), {name: plain(arg) for name, arg in kws.items()})

    door.get_call_template = plainly
    door.get_overload = lambda signature: part().get_overload(signature) if linked.AVAILABLE else overload(signature)
    return cast("F", door)


def inlined(function: F) -> F:
    """A kernel that becomes a part of the one or two that call it: kernels hand on so many things that a call costs much."""
    return kernel(function, inline=True)
