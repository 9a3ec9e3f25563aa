"""python -m sandbox start | stop | status | clean | exec -- command… | traffic | demo | doctor"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence

from contract.errors import Fatal
from sandbox import stack, state
from sandbox.processes import find


def main(argv: Sequence[str]) -> int:
    """Run one subcommand; its exit status."""
    name, rest = (argv[0], argv[1:]) if argv else ("help", [])
    command = COMMANDS.get(name)
    if command is None:
        print(__doc__, file=sys.stderr)
        return 0 if name in ("help", "--help", "-h") else 2
    try:
        return command(rest)
    except Fatal as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return error.status


def start(argv: Sequence[str]) -> int:
    """Start what does not run."""
    running = stack.up(state.directory())
    print(f"sandbox: MongoDB at {running.uri}\nsandbox: Kinesis and DynamoDB at port {running.aws_port}, in memory only")
    print(f"sandbox: logs and data in {running.home}; `make sandbox-stop` stops it")
    return 0


def stop(argv: Sequence[str]) -> int:
    """Stop it and what runs on it."""
    print("sandbox: stopped" if stack.down(state.directory(), before=_settle) else "sandbox: nothing runs")
    return 0


def _settle(running: stack.Running) -> None:
    spec = importlib.import_module("sandbox.run").configured()
    if spec is not None and not importlib.import_module("sandbox.rewind").settle(running, spec):
        print("sandbox: not all changes on the stream were processed; they are relayed again when the sandbox starts")


def status(argv: Sequence[str]) -> int:
    """What runs; 0 if both parts do, else 3."""
    now = state.read(state.directory())
    for name, who in (("mongod", now.mongod), ("ministack", now.ministack)):
        print(f"{name}: " + (f"pid {who.pid}, port {who.port}" if who is not None and find(who) is not None else "does not run"))
    for who in now.joined:
        if find(who) is not None:
            print(f"{who.name}: pid {who.pid}")
    return 0 if stack.running(state.directory()) else 3


def clean(argv: Sequence[str]) -> int:
    """Forget it."""
    stack.clean(state.directory())
    print("sandbox: stopped, and its data is gone")
    return 0


def execute(argv: Sequence[str]) -> int:
    """Become a command on the sandbox, or on what the environment names."""
    command = list(argv[1:] if argv[:1] == ["--"] else argv)
    if not command:
        print("usage: python -m sandbox exec -- command…", file=sys.stderr)
        return 2
    importlib.import_module("sandbox.run").execute(command)
    return 0


def traffic(argv: Sequence[str]) -> int:
    """Let the shop happen."""
    return int(importlib.import_module("sandbox.traffic").main(argv))


def demo(argv: Sequence[str]) -> int:
    """The whole way, and the check of every result."""
    return int(importlib.import_module("sandbox.demo").main())


def doctor(argv: Sequence[str]) -> int:
    """Check everything that can be wrong."""
    return int(importlib.import_module("sandbox.doctor").main())


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "start": start, "stop": stop, "status": status, "clean": clean, "exec": execute, "traffic": traffic, "demo": demo,
    "doctor": doctor,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
