"""What a kernel is made of, as one digest: when it changes, what is kept of the kernel on disk is of no use.

numba itself asks only whether the file that a kernel stands in has changed. Here the digest is over the kernel's own code and over
that of all kernels that it calls, over every constant that any of them reads, wherever it comes from, and over compiled/, which
says how all of it is compiled. So a change of one kernel concerns just those that it is a part of, and a comment none.

Constants are known by their values. What has no value that can be written down (a function that is built for the compiler, an
object of a class of ours) is known by its source file and by all of ours that this file imports.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np

Names = frozenset[str]
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)
LIBRARIES = tuple({str(Path(path).parents[up]) for path, up in ((numba.__file__, 1), (np.__file__, 1), (os.__file__, 0))})
_known: dict[Callable[..., Any], str] = {}


def stamp(kernel: Any) -> str:
    """The digest of a kernel, as numba's decorators give it."""
    if kernel not in _known:
        said: dict[Any, str] = {}
        ahead = [kernel]
        while ahead:
            one = ahead.pop()
            if one not in said:
                parts, calls = _parts(one)
                said[one] = "\n".join([f"{one.py_func.__module__}.{one.py_func.__qualname__}", *parts])
                ahead += calls
        _known[kernel] = _digest("\n".join([_own(), *sorted(said.values())]))
    return _known[kernel]


@cache
def _own() -> str:
    """Of compiled/, and of what compiles."""
    sources = [_digest(path.read_bytes()) for path in sorted(Path(__file__).parent.glob("*.py"))]
    return " ".join([sys.version, numba.__version__, llvmlite.__version__, np.__version__, *sources])


def _digest(what: str | bytes) -> str:
    return hashlib.sha256(what.encode() if isinstance(what, str) else what).hexdigest()


@cache
def _parts(kernel: Any) -> tuple[list[str], list[Any]]:
    """What a kernel says and reads by itself, and the kernels that it calls."""
    function = kernel.py_func
    codes = list(_codes(function.__code__))
    said, calls = [repr(sorted(kernel.targetoptions.items())), repr((function.__defaults__, function.__kwdefaults__))], []
    said += map(_said, codes)
    for name, thing in _reads(function, frozenset(name for code in codes for name in code.co_names)):
        if hasattr(thing, "py_func"):
            calls.append(thing)
        else:
            said.append(f"{name} {_text(thing, function)}")
    return said, calls


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions in it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _said(code: CodeType) -> str:
    """All that code says, but for where it stands."""
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    consts = [
        sorted(map(repr, one)) if isinstance(one, frozenset) else one for one in code.co_consts if not isinstance(one, CodeType)
    ]
    return f"{code.co_code.hex()} {code.co_exceptiontable.hex()} {names} {counts} {consts}"


def _reads(function: FunctionType, names: Names) -> Iterator[tuple[str, Any]]:
    """The globals that a function reads, and of modules of ours what it may read there."""
    yield from _named(function.__globals__, names, [])
    yield from zip(function.__code__.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=True)


def _named(space: dict[str, Any], names: Names, above: list[ModuleType]) -> Iterator[tuple[str, Any]]:
    for name in sorted(names & space.keys()):
        thing = space[name]
        if not isinstance(thing, ModuleType):
            yield name, thing
        elif thing not in above and ours(thing):
            yield from ((f"{name}.{part}", found) for part, found in _named(vars(thing), names, [*above, thing]))


def _text(thing: Any, reader: FunctionType) -> str:
    """What something is that a kernel reads."""
    if isinstance(thing, PLAIN):
        return repr(thing)
    if isinstance(thing, np.ndarray):
        return f"{thing.dtype} {thing.shape} {_digest(thing.tobytes())}"
    if isinstance(thing, tuple):
        return f"{getattr(thing, '_fields', '')}({' '.join(_text(part, reader) for part in thing)})"
    if isinstance(thing, type) and hasattr(thing, "_fields"):
        return f"{thing.__module__}.{thing.__qualname__} {thing._fields} {getattr(thing, '_field_defaults', '')}"
    home = sys.modules.get(getattr(thing, "__module__", None) or type(thing).__module__)
    if home is None or ours(home):
        return f"{getattr(thing, 'made_of', '')} {_closure((home or sys.modules[reader.__module__]).__name__)}"
    name = getattr(thing, "__qualname__", None) or repr(thing)
    return _closure(reader.__module__) if " at 0x" in name else f"{home.__name__}.{name}"


def ours(module: ModuleType) -> bool:
    """Whether a module is no library's, whose version says what is in it."""
    file = getattr(module, "__file__", None)
    return file is not None and not file.startswith(LIBRARIES)


@cache
def _closure(module: str) -> str:
    """The digest of a module's source file and of all of ours that it imports, each once."""
    seen: dict[str, str] = {}
    ahead = [module]
    while ahead:
        one = ahead.pop()
        found = None if one.split(".")[0] == __package__ else sys.modules.get(one)  # compiled/ is in every stamp
        if one not in seen and found is not None and ours(found) and found.__file__ is not None:
            source = Path(found.__file__).read_bytes()
            seen[one] = _digest(source)
            ahead += _imports(source, found)
    return _digest(repr(sorted(seen.items())))


def _imports(source: bytes, module: ModuleType) -> Iterator[str]:
    """Names of modules, and of what may be one, that a source imports anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = (module.__package__ or "").split(".")
            base = (
                ".".join([*above[: len(above) - node.level + 1], *filter(None, [node.module])]) if node.level else node.module or ""
            )
            yield from [base, *(f"{base}.{alias.name}" for alias in node.names)]
