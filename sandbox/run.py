"""`python -m sandbox exec -- command…`: run a command on Atlas and AWS if the environment names them, else on the sandbox.

Several terminals may do so at once: who comes first starts the parts, the others join.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from config.environment import CONFIG
from config.environment import environment as read_environment
from config.load import load
from config.specs import Pipeline
from contract.errors import Misconfigured
from sandbox import state
from sandbox.processes import known
from sandbox.rewind import make_stream
from sandbox.stack import Running, join, up

AWS_NAMES = (
    "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KINESIS",
    "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
)  # fmt: skip
CONFIGURED = ("producer", "consumer", "query")
STOP = "stop it with `make sandbox-stop`, forget it with `make sandbox-clean`"


def execute(command: Sequence[str]) -> None:
    """Become the command, with the environment that it needs. Does not return. What is wrong with the configuration of a command
    of ours is told before anything is started for it."""
    wrong = mistakes(command, os.environ)
    if wrong:
        say("\n".join(wrong))
        raise SystemExit(Misconfigured.status)
    os.environ["EDDY_CONFIG"] = config_of(command, os.environ)  # the sandbox makes this file's stream
    environment = {**os.environ, **where(os.environ, name_of(command))}
    sys.stdout.flush()
    sys.stderr.flush()
    program = sys.executable if command[0] in ("python", "python3") else command[0]
    try:
        os.execvpe(program, [program, *command[1:]], environment)
    except OSError as error:
        raise Misconfigured(f"cannot run {command[0]}: {error.strerror}") from error


def mistakes(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """What is wrong with the configuration that a command of ours will read, and with its environment."""
    given = list(command)
    if "-m" not in given[:-1] or name_of(given) not in CONFIGURED or not {"-h", "--help", "replay"}.isdisjoint(given):
        return []
    wrong = []
    for check in (partial(load, config_of(given, environment)), partial(read_environment, environment)):
        try:
            check()
        except Misconfigured as error:
            wrong.append(str(error))
    return wrong


def config_of(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The configuration that a command will read: of several the last, as argparse has it."""
    named = ""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word == "--config":
            named = following
        elif word.startswith("--config="):
            named = word.partition("=")[2]
    return named or environment.get("EDDY_CONFIG") or CONFIG


def where(environment: Mapping[str, str], name: str) -> Mapping[str, str]:
    """What to set beside the environment as it is: nothing where it names MongoDB and AWS."""
    if environment.get("MONGODB_URI") and has_aws(environment):
        say(f"{name}: MongoDB and AWS as the environment says")
        return {}
    running = on_sandbox(state.directory(), name, environment.get("MONGODB_URI"))
    if environment.get("MONGODB_URI"):
        say(f"{name}: MongoDB as the environment says; no AWS setting there, so Kinesis and DynamoDB are the sandbox's; {STOP}")
        return {k: v for k, v in running.environment().items() if k.startswith("AWS_") or k == "EDDY_STATE"}
    say(f"{name}: {'started' if running.fresh else 'joined'} the sandbox in {running.home}; {STOP}")
    return running.environment()


def has_aws(environment: Mapping[str, str]) -> bool:
    """Whether anything says where AWS is or who we are there."""
    files = [Path(environment.get("HOME", "~")).expanduser() / ".aws" / name for name in ("credentials", "config")]
    return any(environment.get(name) for name in AWS_NAMES) or any(file.exists() for file in files)


def on_sandbox(home: Path, name: str, uri: str | None) -> Running:
    """Start or join the sandbox, make the stream, and be known to `sandbox-stop`. uri: MongoDB, if it is another one."""
    running = up(home)
    join(home, known(os.getpid(), name=name))
    pipeline = configured()
    if pipeline is not None:
        make_stream(running, pipeline, uri)
    return running


def configured() -> Pipeline | None:
    """pipeline.toml, or None where it is wrong: the command itself says what is wrong with it."""
    try:
        return load(Path(os.environ.get("EDDY_CONFIG") or CONFIG))
    except (Misconfigured, OSError):
        return None


def name_of(command: Sequence[str]) -> str:
    """What to call it: the module of `python -m module`, else the program; of this package, its subcommand."""
    if "-m" not in command[:-1]:
        return Path(command[0]).name
    module = command.index("-m") + 1
    return command[module + 1] if command[module] == "sandbox" and len(command) > module + 1 else command[module]


def say(text: str) -> None:
    """To stderr: stdout is the command's."""
    print(text, file=sys.stderr, flush=True)
