"""How many replicas a load needs: by how busy those are that there are.

Ray Serve's own measure, requests under way, says nothing here: a quick model answers each request within one turn of
the event loop, and what waits meanwhile is in sockets that nobody counts. So each replica reports the share of time in
which one of the threads that answer was at work or waited for a CPU, and the controller adds these up.

The policy runs inside Ray Serve's controller, to which this module goes as a whole; it imports nothing of ours.
"""

from __future__ import annotations

import threading
import time
from typing import Any

BUSY = "busy"
NS = 1e-9
# Ray asks each replica so often, and decides by the mean of the last few answers.
SAMPLE_S = 1.0
WINDOW_S = 5.0


class Busy:
    """How busy the threads that answer requests are.

    A thread that waits for a CPU counts as busy too: beside others on a full machine it answers no faster.
    """

    def __init__(self) -> None:
        self._threads: list[int] = []
        self._spent: dict[int, float] = {}
        self._asked = time.perf_counter()

    def watch(self) -> None:
        """Watch the calling thread from now on."""
        thread = threading.get_native_id()
        self._spent[thread] = thread_s(thread)
        self._threads.append(thread)

    def share(self) -> float:
        """Share in [0, 1] of the time since it was last asked for: that of the busiest thread."""
        now = time.perf_counter()
        seconds, self._asked = now - self._asked, now
        spent = {thread: thread_s(thread) for thread in self._threads}
        most = max((spent[thread] - self._spent[thread] for thread in spent), default=0.0)
        self._spent |= spent
        return min(1.0, max(0.0, most / seconds)) if seconds > 0 else 0.0


def thread_s(thread: int) -> float:
    """Seconds that a thread has run or waited for a CPU; where Linux does not tell, that its process has run.

    Args:
        thread: Its native id.
    """
    try:
        with open(f"/proc/self/task/{thread}/schedstat", "rb") as file:
            ran, waited, _ = file.read().split()
    except OSError:
        return time.process_time()
    return (int(ran) + int(waited)) * NS


class ByLoad:
    """As many replicas as keep each of them at a target; Ray Serve applies bounds and delays.

    Args:
        target: Share of time that a replica is to be busy.
    """

    def __init__(self, target: float) -> None:
        self.target = target

    def __call__(self, context: Any) -> tuple[float, dict[str, Any]]:
        """Decide.

        Args:
            context: Ray Serve's AutoscalingContext.
        """
        busy = (context.aggregated_metrics or {}).get(BUSY, {})
        if not busy:  # none has answered yet
            return context.target_num_replicas, {}
        return max(1.0, sum(busy.values()) / self.target), {}
