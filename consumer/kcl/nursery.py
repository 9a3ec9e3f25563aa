"""Children that are born grown up: one process loads all that a child needs, once, and each child is a fork of it.

A child on its own takes four seconds of a processor before it can claim its shard, most of it numba and what numba keeps; a fork
takes some milliseconds, and shares that memory. KCL still starts a process for each shard, and speaks to it alone (consumer/host/
relay.py): that one hands its pipes to the nursery, and waits.

    supervisor ─┬─ JVM ─── relay (one a shard) ··· asks, and hands over stdin, stdout, stderr and a handle of the JVM
                └─ nursery ─── child (one a shard)

Who ends takes with it who cannot be without it: the JVM its children (they watch it), a relay its child (killed here), a child its
relay (told here), the nursery all children and the supervisor the nursery (by the kernel).

There is one thread in here, and no connection to anything, so that a fork is safe.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from consumer.host.jvm import die_with
from consumer.host.relay import FAILED, SOCKET, WORDS

PIPES = 4  # stdin, stdout, stderr, and the JVM's
PATIENCE = 5.0  # s for a relay that has called to speak
Be = Callable[[str, int], NoReturn]  # (the start's name, a pidfd of the JVM): be a child


@dataclass(frozen=True, slots=True)
class Born:
    """A child: its pid, a pidfd of it, and its relay."""

    pid: int
    handle: int
    relay: socket.socket


def main(run: Path, load: Callable[[], object], be: Be) -> NoReturn:
    """Serve until killed. Whoever asks while it still loads is answered after."""
    home = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(run)
        Path(SOCKET).unlink(missing_ok=True)
        listener.bind(SOCKET)
        listener.listen(128)
        os.chdir(home)
        load()
        Nursery(listener, be).serve()


class Nursery:
    """Its loop: who asks, who has ended, whose relay is gone."""

    def __init__(self, listener: socket.socket, be: Be) -> None:
        self._listener, self._be = listener, be
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self) -> NoReturn:
        """For ever."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._ask()
                elif self._selector.get_map().get(key.fd) is not key:
                    continue  # it was dealt with in this round, and its number may be another's by now
                elif key.fd == key.data.handle:
                    self._ended(key.data)
                else:  # a relay says nothing: it is gone
                    with suppress(ProcessLookupError):
                        os.kill(key.data.pid, signal.SIGKILL)
                    self._selector.unregister(key.data.relay)

    def _ask(self) -> None:
        relay, _ = self._listener.accept()
        relay.settimeout(PATIENCE)
        name, pipes = b"", list[int]()
        with suppress(OSError):  # who says nothing gets nothing
            name, pipes, _, _ = socket.recv_fds(relay, WORDS, PIPES)
        if len(pipes) == PIPES:
            nursery = os.getpid()
            pid = os.fork()
            if pid == 0:
                self._grow(nursery, relay, name.decode(), pipes)
            born = Born(pid, os.pidfd_open(pid), relay)
            self._selector.register(born.handle, selectors.EVENT_READ, born)
            self._selector.register(relay, selectors.EVENT_READ, born)
        else:
            relay.close()
        for pipe in pipes:
            os.close(pipe)

    def _grow(self, nursery: int, relay: socket.socket, name: str, pipes: list[int]) -> NoReturn:
        """The child. Nothing of the nursery's stays open in it, and nothing that it raises gets back into the loop."""
        try:
            die_with(nursery, signal.SIGKILL)
            keys = list(self._selector.get_map().values())
            self._selector.close()
            for key in keys:
                if isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()
                else:
                    os.close(key.fd)
            relay.close()
            for number, pipe in enumerate(pipes[:3]):
                os.dup2(pipe, number)
                os.close(pipe)
            self._be("" if name == "-" else name, pipes[3])
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(FAILED)

    def _ended(self, born: Born) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(born.pid, 0)[1])
        with suppress(OSError, KeyError, ValueError):
            self._selector.unregister(born.relay)
        self._selector.unregister(born.handle)
        os.close(born.handle)
        with suppress(OSError):
            born.relay.send(str(code if code >= 0 else 128 - code).encode())
        born.relay.close()
