"""A Kinesis on this machine that splits and merges shards, which ministack cannot: kinesis-local, fetched with npm, run by node.

It knows nothing of DynamoDB: KCL's leases stay with ministack. Its memory is all it has. It would listen on every address of the
machine; started from here it listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from contract.errors import Fatal
from sandbox import aws
from sandbox.processes import Known, find, known, spawn, tail

PACKAGE, VERSION = "kinesis-local", "0.6.2"
FETCHED_WITHIN, READY_WITHIN = 120.0, 60.0
NPM = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel", "error")
# its host is written into it; the last argument says what to do once it listens
HERE_ALONE = """
const net = require("net"), listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...more) { return listen.call(this, port, "127.0.0.1", more.at(-1)) }
require(process.argv[1])
"""


def lacks() -> str | None:
    """What this machine has to have for it and has not, or None."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"{PACKAGE} needs Node.js: no {' and no '.join(missing)} on PATH" if missing else None


def fetch(folder: Path) -> Path:
    """The package, installed under `folder` if it is not there yet. Raises Fatal with npm's own words if it cannot be had."""
    package = folder / "node_modules" / PACKAGE
    if not (package / "main.js").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", str(folder), *NPM, f"{PACKAGE}@{VERSION}"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=FETCHED_WITHIN, check=False)
        except subprocess.TimeoutExpired:
            raise Fatal(f"npm did not install {PACKAGE} within {FETCHED_WITHIN:.0f} s") from None
        if ran.returncode != 0:
            raise Fatal(f"npm did not install {PACKAGE}:\n{ran.stdout}{ran.stderr}")
    return package


def start(package: Path, home: Path, port: int, tls_port: int, leashed: bool = False) -> Known:
    """Start it; ready() says when it can be used. tls_port: it listens there too, and nobody asks it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "KINESIS_MOCK_"))}
    env = {
        **kept, "KINESIS_MOCK_PLAIN_PORT": str(port), "KINESIS_MOCK_TLS_PORT": str(tls_port), "AWS_REGION": aws.REGION,
        "KINESIS_MOCK_CERT_PATH": str(package / "server.json"), "SHOULD_PERSIST_DATA": "false", "LOG_LEVEL": "WARN",
    }  # fmt: skip
    process = spawn(["node", "--eval", HERE_ALONE, str(package / "main.js")], home / f"{PACKAGE}.log", env, leashed)
    return known(process.pid, port, PACKAGE)


def ready(who: Known, home: Path) -> None:
    """Ask until it answers. Raises Fatal with its log's end if it never does."""
    log, deadline = home / f"{PACKAGE}.log", time.monotonic() + READY_WITHIN
    while not _answers(who.port):
        if find(who) is None or time.monotonic() > deadline:
            raise Fatal(f"{PACKAGE} did not get ready; the end of {log}:\n{tail(log)}")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{aws.url(port)}/healthcheck", timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
