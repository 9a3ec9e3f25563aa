"""Where lines end, and the memory that reading keeps."""

from __future__ import annotations

import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reading.memory import keep_memory
from reading.scanner import lines


def plainly(data: bytes) -> list[int]:
    return [0, *(i + 1 for i, c in enumerate(data) if c == 10)]


@given(st.lists(st.sampled_from([b"\n", b"a", b"\n\n", b"\x0b", b"\x8a", b"x" * 31, b"y" * 32]), max_size=40))
def test_the_places_of_any_lines(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert lines(data).tolist() == plainly(data)


@pytest.mark.parametrize("length", range(70))
def test_a_newline_at_any_place(length: int) -> None:
    data = b"a" * length + b"\n"
    assert lines(data).tolist() == [0, length + 1]
    assert lines(b"\n" * length).tolist() == list(range(length + 1))
    assert lines(b"").tolist() == [0]


def test_memory_is_kept_where_the_c_library_can() -> None:
    assert keep_memory() == (platform.libc_ver()[0] == "glibc")
    assert keep_memory() is keep_memory()
