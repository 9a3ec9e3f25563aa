"""Kernels that are part of others stay LLVM code, and become machine code only within those that Python calls.

numba finishes every function by itself: it optimises it with all that it calls, and makes machine code and a wrapper for Python of
it, also of the nine in ten that Python never calls. Here a function that is called by another one is lowered and no more
(`Part`); one that Python calls (`Door`) links all that it is made of, each once, and is optimised as a whole, where all else is
local to it. That halves the time of compiling.

It stands on numba's class for a compiled library and on its hook for pipelines, as of the versions in KNOWN; with any other one
`AVAILABLE` is false, and compiled/kernel.py takes numba's plain way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numba
from llvmlite import binding
from numba.core import codegen, compiler

KNOWN = ("0.68.",)
NEEDED = ("_final_module", "finalize", "_finalize_dynamic_globals", "_get_module_for_linking", "_optimize_final_module")
Library: Any = getattr(codegen, "JITCodeLibrary", None)
Compiler: Any = compiler.Compiler
AVAILABLE = numba.__version__.startswith(KNOWN) and all(hasattr(Library, name) or name == "_final_module" for name in NEEDED)


if AVAILABLE:

    class _Environments:
        """In a codegen's place, where numba tells it of a function's environment: kept for the door that it becomes a part of."""

        def __init__(self, library: Any) -> None:
            self._library = library

        def __getattr__(self, name: str) -> Any:
            return getattr(self._library._codegen, name)

        def set_env(self, name: str, environment: Any) -> None:
            """As numba's."""
            self._library.environments[name] = environment

    class _Part(Library):  # type: ignore[misc]
        """The code of a function that others call: no machine code, and no other function's code in it."""

        def __init__(self, code: Any, name: str) -> None:
            super().__init__(code, name)
            self.environments: dict[str, Any] = {}

        @property
        def codegen(self) -> Any:
            return _Environments(self)

        def finalize(self) -> None:
            self._raise_if_finalized()
            self._finalize_dynamic_globals()
            self._finalized = True

        def get_pointer_to_function(self, name: str) -> int:
            """There is none: nobody calls it."""
            self._ensure_finalized()
            return 0

    class _Door(Library):  # type: ignore[misc]
        """The code of a function that Python calls, with all that it is made of."""

        def finalize(self) -> None:
            self._linking_libraries = list(_all_of(self))
            super().finalize()
            engine = self._codegen._engine
            for part in self._linking_libraries:
                for name, environment in getattr(part, "environments", {}).items():
                    if place := engine.get_global_value_address(name):
                        ctypes.c_void_p.from_address(place).value = id(environment)

        def _optimize_final_module(self) -> None:
            for function in self._final_module.functions:
                if not function.is_declaration and function.linkage.name == "linkonce_odr":
                    function.linkage = "internal"
            super()._optimize_final_module()

        def serialize_using_object_code(self) -> Any:
            """As numba's, but for the LLVM code, of which whoever loads it needs the names alone: nobody links a door."""
            self._ensure_finalized()
            return self.name, "object", (self._get_compiled_object(), _names_of(self._final_module))

    def _names_of(module: Any) -> bytes:
        """LLVM code that defines what a module does, and says nothing of it."""
        functions = (f'define void @"{one.name}"() {{ unreachable }}' for one in module.functions if _seen(one))
        values = (f'@"{one.name}" = global i8 0' for one in module.global_variables if _seen(one))
        parsed: Any = binding.parse_assembly("\n".join([*functions, *values]))
        return bytes(parsed.as_bitcode())

    def _seen(value: Any) -> bool:
        return not value.is_declaration and value.linkage.name not in ("internal", "private")

    def _all_of(library: Any) -> Iterator[Any]:
        """All libraries that one is made of, each once."""
        seen, ahead = set(), list(library._linking_libraries)
        while ahead:
            part = ahead.pop()
            if id(part) not in seen:
                seen.add(id(part))
                ahead += part._linking_libraries
                yield part

    def _pipeline(kind: Any) -> Any:
        class Pipeline(Compiler):  # type: ignore[misc]
            """numba's own, with a library of ours to put the code into."""

            def compile_extra(self, func: Any) -> Any:
                if self.state.library is None:
                    self.state.library = kind(self.state.targetctx.codegen(), func.__qualname__)
                    self.state.library.enable_object_caching()
                return super().compile_extra(func)

        return Pipeline

    Part, Door = _pipeline(_Part), _pipeline(_Door)
