"""What is kept of kernels on disk: a file for each kernel, signature and processor, under the stamp of all that it is made of.

numba says in which folder: __pycache__ beside the source, NUMBA_CACHE_DIR, or a folder of the user's where the source's cannot be
written. Its own files there are an index and what it names, which two processes can bring apart, as can a kill between the two,
and they are stamped with the source file alone. Here the file's name says all that the content depends on, the content begins with
its own digest, and a file comes into being whole. What older sources left is removed by whoever writes the new one.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import uuid
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from numba.core import caching, config
from numba.core.serialize import dumps

from compiled.stamps import stamp

DIGEST = 32  # bytes
LETTERS = 16  # of a digest, in a file's name
# What of numba's settings changes the code that comes out.
SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "ENABLE_AVX", "LLVM_REFPRUNE_PASS")
OnDisk: Any = caching.FunctionCache


class Kept:
    """One kernel's place on disk, as numba's dispatcher asks it. Where there is none, nothing is found and nothing kept."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    @cached_property
    def _place(self) -> Any:
        """numba's own, which finds the folder and takes apart what is to be kept. None without a folder."""
        try:
            place = OnDisk(self._kernel.py_func)
        except RuntimeError:
            return None
        place._cache_file = Files(Path(place.cache_path), self._kernel)
        return place

    @property
    def cache_path(self) -> str | None:
        """The folder."""
        return None if self._place is None else cast("str", self._place.cache_path)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel for the types of its arguments, or None."""
        return None if self._place is None else self._place.load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel."""
        if self._place is not None:
            with suppress(OSError):  # what cannot be written is compiled again
                self._place.save_overload(sig, data)

    def flush(self) -> None:
        """Forget the kernel."""
        if self._place is not None:
            self._place.flush()


class Files:
    """A kernel's files in a folder. Keys are numba's: types of arguments, processor, code."""

    def __init__(self, folder: Path, kernel: Any) -> None:
        function = kernel.py_func
        name = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}".replace("<", "").replace(">", "")
        self._folder = folder
        self._all = f"{name}-{sys.implementation.cache_tag}-"
        self._fresh = f"{self._all}{stamp(kernel)[:LETTERS]}-"

    def load(self, key: Any) -> Any:
        """What is kept, or None; None also for a file that is damaged or that names what is no more."""
        with suppress(OSError, AttributeError, ImportError):
            whole = self._file(key).read_bytes()
            content = whole[DIGEST:]
            if hashlib.sha256(content).digest() == whole[:DIGEST]:
                return pickle.loads(content)
        return None

    def save(self, key: Any, data: Any) -> None:
        """Keep it, and remove what other sources left of this kernel."""
        content = cast("bytes", dumps(data))  # type: ignore[no-untyped-call]
        file = self._file(key)
        draft = file.with_suffix(f".{uuid.uuid4().hex}")
        try:
            draft.write_bytes(hashlib.sha256(content).digest() + content)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        self._remove(but=self._fresh)

    def flush(self) -> None:
        """Remove all files of this kernel."""
        self._remove()

    def _remove(self, but: str | None = None) -> None:
        for file in self._folder.iterdir():
            if file.name.startswith(self._all) and (but is None or not file.name.startswith(but)):
                file.unlink(missing_ok=True)

    def _file(self, key: Any) -> Path:
        settings = [str(getattr(config, name, None)) for name in SETTINGS]
        said = hashlib.sha256(f"{_described(key)} {settings}".encode()).hexdigest()
        return self._folder / f"{self._fresh}{said[:LETTERS]}.nbc"


def _described(key: Any) -> str:
    """Types by all that code depends on: numba's name for a named tuple says neither whose it is nor what its fields are called."""
    if isinstance(key, tuple):
        return f"({' '.join(map(_described, key))})"
    kind: Any = getattr(key, "instance_class", None)
    parts = _described(tuple(key.types)) if hasattr(key, "types") else ""
    return (
        f"{key!r} {parts} {kind.__module__}.{kind.__qualname__} {kind._fields}" if hasattr(kind, "_fields") else f"{key!r} {parts}"
    )
