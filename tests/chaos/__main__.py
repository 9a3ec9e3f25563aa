"""`make chaos`: constant load, a fault every few seconds, and in the end every view as the oracle says.

1 real parts      2 load, until every shard is read      3 faults for CHAOS_SECONDS, as SEED has drawn them
4 everything is healed, the load ends      5 all that was written is read and closed      6 every view, class and letter is checked
7 everything that was started is stopped, whatever happened. The exit status is 0 only if nothing differs.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from contract.errors import Fatal
from sandbox import state
from tests.chaos.run import Chaos


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM."""


def main() -> int:
    """The exit status."""
    seconds = float(os.environ.get("CHAOS_SECONDS") or 1_800)
    seed = int(os.environ.get("SEED") or time.time_ns() // 1_000_000_000 % 1_000_000)
    home = Path(os.environ.get("CHAOS_HOME") or state.directory() / "chaos" / f"seed-{seed}")

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    chaos = Chaos(home, seed, seconds)
    try:
        good = chaos.run()
    except Fatal as error:
        chaos.say(f"chaos: {error}")
        good = False
    except Interrupted:
        chaos.say("chaos: interrupted; stopping everything that it started")
        return 130
    finally:
        chaos.end()
    if good:
        shutil.rmtree(home, ignore_errors=True)
    else:
        chaos.say(f"chaos: NOT as it should be; logs and data are in {home}")
        chaos.say(f"chaos: again with the same faults: CHAOS_SECONDS={seconds:g} SEED={seed} make chaos")
    chaos.say(chaos.line())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
