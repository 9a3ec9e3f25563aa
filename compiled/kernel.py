"""How kernels are compiled: by numba, without the GIL, kept on disk; what is kept is dropped when any kernel's source changes.

Numba looks only at the file that a kernel stands in, not at the files of the kernels that it calls. So a digest over all of them
lies beside what numba kept, and where it differs all of it is compiled anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
PURE = bool(getattr(numba.config, "DISABLE_JIT", False))  # kernels as plain Python, for debugging
ROOT = Path(__file__).parents[1]
PARTS = ("compiled", "windows/kernels")


def _sources() -> list[Path]:
    return sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))


def forget_stale(kept: Path = ROOT / "compiled" / "__pycache__") -> bool:
    """Drop compiled kernels whose sources have changed since. Whether there was anything to drop."""
    digest = hashlib.sha256(numba.__version__.encode() + b"".join(path.read_bytes() for path in _sources())).hexdigest()
    stamp = kept / "kernels.digest"
    with suppress(OSError):
        if stamp.read_text() == digest:
            return False
    with suppress(OSError):  # a folder that cannot be written is no harm: then numba keeps its work elsewhere
        kept.mkdir(exist_ok=True)
        for path in _sources():
            for old in (path.parent / "__pycache__").glob(f"{path.stem}.*.nb[ic]"):
                old.unlink(missing_ok=True)
        stamp.write_text(digest)
    return True


forget_stale()


def kernel(function: F, inline: bool = False) -> F:
    """Compiled at its first call, and kept on disk. Division by zero gives inf or nan, as in numpy."""
    compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=inline)(function)
    return cast("F", compiled)


def inlined(function: F) -> F:
    """A kernel that becomes a part of the one or two that call it: kernels hand on so many things that a call costs much."""
    return kernel(function, inline=True)


def _pointer(kind: Any) -> Callable[..., Any]:
    """The address of an array's first item. Whoever takes it keeps the array alive."""

    def build(typing: Any, array: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            return builder.bitcast(data, context.get_value_type(signature.return_type))

        pointer: Any = types.CPointer
        return pointer(kind)(array), code

    made: Callable[..., Any] = intrinsic(build)
    return made


# Kernels hand arrays on as bare addresses: numba counts references of arrays at every call, which costs more than the work.
words: Callable[..., Any] = (lambda array: array.reshape(-1)) if PURE else _pointer(types.int64)
floats: Callable[..., Any] = (lambda array: array.reshape(-1).view("f8")) if PURE else _pointer(types.float64)
bytes_of: Callable[..., Any] = (lambda array: array.reshape(-1)) if PURE else _pointer(types.int8)


def _prefetching() -> Callable[..., Any]:
    def build(typing: Any, memory: Any, place: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = builder.gep(args[0], [args[1]])
            number = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [at.type, number, number, number])
            fetch: Any = cast("Any", cgutils).get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(fetch, [at, number(0), number(3), number(1)])  # to read, and to keep, data
            return context.get_dummy_value()

        return types.none(memory, types.int64), code

    made: Callable[..., Any] = intrinsic(build)
    return made


def _fused() -> Callable[..., Any]:
    def build(typing: Any, x: Any, y: Any, z: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.fma(*args)

        return types.float64(types.float64, types.float64, types.float64), code

    made: Callable[..., Any] = intrinsic(build)
    return made


# x * y + z, rounded once: fma(x, y, z).
fma: Callable[..., Any] = (lambda x, y, z: float(Fraction(x) * Fraction(y) + Fraction(z))) if PURE else _fused()
# Has the processor fetch a word that will be read soon: prefetch(M, place).
prefetch: Callable[..., Any] = (lambda memory, place: None) if PURE else _prefetching()
