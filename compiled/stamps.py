"""What a kernel is made of, as one digest: when it changes, what numba keeps of the kernel on disk is of no use.

numba itself asks only whether the file that a kernel stands in has changed. Here the digest is over the kernel's own code and over
that of all kernels that it calls, over every constant that any of them reads, wherever it comes from, and over compiled/, which
says how all of it is compiled. So a change of one kernel concerns just those that it is a part of, and a comment none.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

PLAIN = (bool, int, float, str, bytes, type(None), np.generic, np.dtype)
_known: dict[Callable[..., Any], str] = {}


def _own() -> str:
    """Of compiled/ and the libraries that compile."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return f"{numba.__version__} {llvmlite.__version__} {np.__version__} {hashlib.sha256(sources).hexdigest()}"


OWN = _own()


def stamp(function: Callable[..., Any]) -> str:
    """The digest of a kernel, given as the plain function. Raises TypeError for something in it of which it cannot be said whether
    it has changed."""
    if function not in _known:
        seen: dict[Callable[..., Any], str] = {}
        ahead = [function]
        while ahead:
            one = ahead.pop()
            if one not in seen:
                parts, calls = _parts(one)
                seen[one] = "\n".join(parts)
                ahead += calls
        said = sorted(f"{one.__module__}.{one.__qualname__}\n{text}" for one, text in seen.items())
        _known[function] = hashlib.sha256("\n".join([OWN, *said]).encode()).hexdigest()
    return _known[function]


def _parts(function: Callable[..., Any]) -> tuple[list[str], list[Callable[..., Any]]]:
    """What a function says and reads by itself, and the kernels that it calls."""
    code = function.__code__
    said, calls = [code.co_code.hex(), repr(code.co_consts), repr(code.co_names)], []
    for name, thing in _reads(function, code):
        inner = getattr(thing, "py_func", None)
        if inner is not None:
            calls.append(inner)
        elif not isinstance(thing, types.FunctionType):  # a kernel cannot call a plain function: only its name is the same
            said.append(f"{name} {_text(name, thing)}")
    return said, calls


def _reads(function: Callable[..., Any], code: types.CodeType) -> Iterator[tuple[str, Any]]:
    """The globals that a function reads, and of modules of ours what it may read there."""
    around = function.__globals__
    for name in code.co_names:
        thing = around.get(name)
        if not isinstance(thing, types.ModuleType):
            yield from [(name, thing)] if name in around else []
        elif not _foreign(thing):
            yield from ((f"{name}.{part}", vars(thing)[part]) for part in code.co_names if part in vars(thing))
    yield from zip(code.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=True)


def _foreign(module: types.ModuleType) -> bool:
    """Whether a module is a library's, whose version says what is in it."""
    return module.__name__.split(".")[0] in ("numpy", "math", "numba", "builtins")


def _text(name: str, thing: Any) -> str:
    """A constant, or what a function that is built for the compiler is made of."""
    if isinstance(thing, PLAIN):
        return repr(thing)
    if isinstance(thing, np.ndarray):
        return f"{thing.dtype} {thing.shape} {hashlib.sha256(thing.tobytes()).hexdigest()}"
    if isinstance(thing, tuple):
        return "".join(f"({_text(name, part)})" for part in thing)
    if isinstance(thing, types.ModuleType) or getattr(thing, "__module__", None) in ("builtins", "numpy"):
        return str(getattr(thing, "__name__", thing))
    made_of = getattr(thing, "made_of", None)
    if made_of is not None:
        return str(made_of)
    if isinstance(thing, type) and issubclass(thing, tuple):
        return repr(getattr(thing, "_fields", ()))
    raise TypeError(f"nobody can say whether {name} ({type(thing).__name__}) of a kernel has changed")
