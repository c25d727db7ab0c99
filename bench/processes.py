"""A server process from outside: when it answers, and what it weighs."""

import resource
import time
import urllib.request
from pathlib import Path


def first_page(address: str, started: float | None = None) -> float:
    """Seconds from `started` (`time.perf_counter()`; now, where it is left out) until the server is ready."""
    started = time.perf_counter() if started is None else started
    while time.perf_counter() - started < 60:
        try:
            with urllib.request.urlopen(f"{address}/readyz"):
                return time.perf_counter() - started
        except OSError:
            time.sleep(0.02)
    raise TimeoutError("the server did not come up in a minute")


def resident(pid: int) -> float:
    """MB of the process and of those that it has made, what they share counted once; from /proc where there is one."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        rollups = [Path(f"/proc/{one}/smaps_rollup").read_text() for one in (pid, *children)]
        shares = [line.split()[1] for rollup in rollups for line in rollup.splitlines() if line.startswith("Pss:")]
        return sum(map(int, shares)) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def resident_alone(pid: int) -> float:
    """MB of one process with all that it maps, also what others share; from /proc."""
    return _status(f"/proc/{pid}/status", "VmRSS:")


def most_resident() -> float:
    """MB that this process has held at most. On Linux its own: `getrusage` takes over what the parent held before the process began."""
    try:
        return _status("/proc/self/status", "VmHWM:")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _status(path: str, name: str) -> float:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
