"""Lines come out of a pipe whole, whatever pieces they go in by."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.kcl import channel
from consumer.kcl.channel import Lines


def read(pieces: list[bytes]) -> list[bytes]:
    """What comes out of a pipe into which the pieces go."""
    out, into = os.pipe()

    def write() -> None:
        for piece in pieces:
            at = 0
            while at < len(piece):
                at += os.write(into, piece[at:])
        os.close(into)

    writer = threading.Thread(target=write)
    writer.start()
    lines, got = Lines(out), list[bytes]()
    while line := lines.readline():
        got.append(line)
    assert lines.readline() == b""
    writer.join()
    os.close(out)
    return got


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\n", b"a\nb", b"\n\n", b"x" * 3_000])), st.integers(1, 64))
def test_lines_are_those_of_the_whole(pieces: list[bytes], first: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel, "FIRST", first)
        got = read(pieces)
        assert b"".join(got) == b"".join(pieces)
        assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in got[:-1])
        assert all(line.count(b"\n") <= 1 and line.find(b"\n") in (-1, len(line) - 1) for line in got[-1:])


def test_a_line_may_be_longer_than_all_buffers() -> None:
    long = b"x" * (3 * channel.PIPE) + b"\n"
    assert read([b"first\n" + long, long + b"last", b" of all"]) == [b"first\n", long, long, b"last of all"]


def test_a_line_is_there_before_the_next_one_is_written() -> None:
    out, into = os.pipe()
    lines = Lines(out)
    os.write(into, b"one\ntw")
    assert lines.readline() == b"one\n"
    os.write(into, b"o\n")
    assert lines.readline() == b"two\n"
    os.close(into)
    assert lines.readline() == b""
    os.close(out)


def test_a_file_is_read_as_a_pipe_is(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" * 100_000 + b"rest")
    with path.open("rb", buffering=0) as file:
        lines, n = Lines(file.fileno()), 0
        while line := lines.readline():
            assert line == (b"a\n" if n < 100_000 else b"rest")
            n += 1
    assert n == 100_001
