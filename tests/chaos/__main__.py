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
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from contract.errors import Fatal
from sandbox import state
from tests.chaos.run import Chaos


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM."""


def main() -> int:
    """The exit status. CHAOS_HOME: where logs and data are; they are kept only if something differs."""
    seconds = float(os.environ.get("CHAOS_SECONDS") or 1_800)
    seed = int(os.environ.get("SEED") or time.time_ns() // 1_000_000_000 % 1_000_000)
    home = Path(os.environ.get("CHAOS_HOME") or state.directory() / "chaos" / f"seed-{seed}")
    signals(interrupt)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    chaos = Chaos(home, seed, seconds)
    try:
        good = chaos.run()
    except Interrupted:
        chaos.say("chaos: interrupted; stopping everything that it started")
        return 130
    except Exception:
        traceback.print_exc(file=sys.stdout)
        good = False
    except Fatal as error:
        chaos.say(f"chaos: {error}")
        good = False
    finally:
        signals(lambda number, frame: chaos.say("chaos: still stopping what was started"))  # nothing is left behind
        chaos.end()
    if good:
        shutil.rmtree(home, ignore_errors=True)
    else:
        chaos.say(f"chaos: NOT as it should be; logs and data are in {home}")
        chaos.say(f"chaos: again with the same faults: CHAOS_SECONDS={seconds:g} SEED={seed} make chaos")
    chaos.say(chaos.line())
    return 0 if good else 1


def signals(handler: Callable[[int, FrameType | None], None]) -> None:
    """What Ctrl-C and SIGTERM do."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def interrupt(number: int, frame: FrameType | None) -> None:
    """The first time."""
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
