"""KCL's side of the pipe: speaks to a real child as the MultiLangDaemon does, and answers its checkpoints as told."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from contract.keys import partition_key
from tests.consumer.conftest import payment

ROOT = Path(__file__).parents[3]
Record = tuple[int, bytes, int]  # sequence number, data, sub sequence number


class Kcl:
    """A child process and the lines to and from it. errors: what the next checkpoints are answered with, None for success."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self.checkpoints: list[tuple[str | None, int | None]] = []
        self.errors: list[str | None] = []
        self.log = log
        self._err = log.open("wb")
        self.child = subprocess.Popen(
            [sys.executable, "-m", "consumer", "shard"],
            cwd=ROOT,
            env={**env, "PYTHONUTF8": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._err,
        )

    def say(self, action: str, **fields: Any) -> bool:
        """Send a message, serve checkpoints until its status comes. False if the child ended instead."""
        try:
            self._send({"action": action, **fields})
            while (line := self._pipe(self.child.stdout).readline()) != b"":
                if line.strip():
                    answer = json.loads(line)
                    if answer["action"] == "status":
                        assert answer["responseFor"] == action
                        return True
                    self._checkpoint(answer)
        except BrokenPipeError:
            pass
        return False

    def initialize(self, shard: str, sequence: str = "TRIM_HORIZON", sub: int = 0) -> bool:
        """Give it a shard."""
        return self.say("initialize", shardId=shard, sequenceNumber=sequence, subSequenceNumber=sub)

    def records(self, records: Sequence[Record], behind: int = 0) -> bool:
        """Deliver records."""
        lines = [
            {
                "action": "record",
                "data": base64.b64encode(data).decode(),
                "partitionKey": partition_key("card", f"c{number % 10}"),
                "sequenceNumber": f"{number:030d}",
                "subSequenceNumber": sub,
                "approximateArrivalTimestamp": 1_900_000_000_000,
            }
            for number, data, sub in records
        ]
        return self.say("processRecords", records=lines, millisBehindLatest=behind)

    def ended(self, within: float = 20) -> int:
        """Close the pipe and wait: the exit status."""
        self._pipe(self.child.stdin).close()
        return self.child.wait(within)

    def logged(self) -> str:
        """What it wrote to stderr."""
        return self.log.read_text()

    def close(self) -> None:
        """Whatever happened."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout, self._err):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _checkpoint(self, asked: Mapping[str, Any]) -> None:
        position = (asked["sequenceNumber"], asked["subSequenceNumber"])
        error = self.errors.pop(0) if self.errors else None
        if error is None:
            self.checkpoints.append(position)
        self._send({"action": "checkpoint", "sequenceNumber": position[0], "subSequenceNumber": position[1], "error": error})

    def _send(self, message: Mapping[str, Any]) -> None:
        pipe = self._pipe(self.child.stdin)
        pipe.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        pipe.flush()

    def _pipe(self, pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


def payments(first: int, n: int) -> list[Record]:
    """Records of payments; the number is sequence number too."""
    return [(i, payment(i), 0) for i in range(first, first + n)]


def watches(process: Path) -> bool:
    """Whether a process has a pidfd open. Others may be closed while we look."""
    for fd in (process / "fd").iterdir():
        with suppress(FileNotFoundError):
            if "pidfd" in str(fd.readlink()):
                return True
    return False
