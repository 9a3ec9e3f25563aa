"""What kernels say in their compiler's words: memory as bare addresses, and two instructions that numba has no name for."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from compiled.kernel import PURE


def built(build: Callable[..., Any], *made_of: object) -> Callable[..., Any]:
    """An intrinsic of numba's, which says what it is made of beside its source file."""
    made: Any = intrinsic(build)
    made.made_of = f"{build.__qualname__} {made_of}"
    return cast("Callable[..., Any]", made)


def _pointer(kind: Any) -> Callable[..., Any]:
    """The address of an array's first item. Whoever takes it keeps the array alive."""

    def build(typing: Any, array: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            return builder.bitcast(data, context.get_value_type(signature.return_type))

        pointer: Any = types.CPointer
        return pointer(kind)(array), code

    return built(build, kind)


# Kernels hand arrays on as bare addresses: numba counts references of arrays at every call, which costs more than the work.
words: Callable[..., Any] = (lambda array: array.reshape(-1)) if PURE else _pointer(types.int64)
floats: Callable[..., Any] = (lambda array: array.reshape(-1).view("f8")) if PURE else _pointer(types.float64)
bytes_of: Callable[..., Any] = (lambda array: array.reshape(-1)) if PURE else _pointer(types.int8)
shorts: Callable[..., Any] = (lambda array: array.reshape(-1)) if PURE else _pointer(types.int16)


def _as_floats() -> Callable[..., Any]:
    def build(typing: Any, memory: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(signature.return_type))

        pointer: Any = types.CPointer
        return pointer(types.float64)(memory), code

    return built(build)


# The same memory as float64, from the address of its words.
floats_of: Callable[..., Any] = (lambda words: words.view("f8")) if PURE else _as_floats()


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

    return built(build)


def _fused() -> Callable[..., Any]:
    def build(typing: Any, x: Any, y: Any, z: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.fma(*args)

        return types.float64(types.float64, types.float64, types.float64), code

    return built(build)


# x * y + z, rounded once: fma(x, y, z).
fma: Callable[..., Any] = (lambda x, y, z: float(Fraction(x) * Fraction(y) + Fraction(z))) if PURE else _fused()
# Has the processor fetch a word that will be read soon: prefetch(M, place).
prefetch: Callable[..., Any] = (lambda memory, place: None) if PURE else _prefetching()
