"""A work queue: each job is done by one worker, and by another one if that worker dies.

A job is a value under `job:`, in the order of their keys. Who works on it holds a claim beside it, which only one
can add, and which expires: a worker that dies loses it. What a worker finishes counts only while the claim is its own.
"""
import secrets
import time
from typing import Any, NamedTuple, Optional

import kivi


class Job(NamedTuple):
    name: str
    task: Any


class Jobs:
    """One worker's hold on the queue. `lease`: seconds that a job may take, or between two calls of renew()."""

    def __init__(self, store: kivi.Store, lease: float = 30) -> None:
        self._store = store
        self._lease = lease
        self._worker = secrets.token_hex(8)

    def put(self, task: Any) -> str:
        """Adds a job; its name."""
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        self._store[f"job:{name}"] = task
        return name

    def claim(self) -> Optional[Job]:
        """The oldest job that nobody works on, now this worker's; None if there is none."""
        for key in self._store.keys("job:"):
            name = key[len("job:") :]
            if not self._store.add(f"claim:{name}", self._worker, ttl=self._lease):
                continue
            task = self._store.get(key)
            if task is not None:
                return Job(name, task)
            self._release(name)  # it was finished between the listing and the claim
        return None

    def renew(self, job: Job) -> bool:
        """Begins the lease anew, of a job that takes long; False: it is another worker's by now."""
        mine = {"op": "touch", "key": f"claim:{job.name}", "if_equal": self._worker, "ttl": self._lease}
        return bool(self._store.apply([mine])[0])

    def finish(self, job: Job) -> bool:
        """Takes the job off the queue; False: the lease had ended, and another worker has it or had it."""
        claim = {"op": "delete", "key": f"claim:{job.name}", "if_equal": self._worker}
        done = {"op": "delete", "key": f"job:{job.name}"}
        return all(self._store.apply([claim, done], atomic=True))

    def give_up(self, job: Job) -> bool:
        """Leaves the job to any worker."""
        return self._release(job.name)

    def _release(self, name: str) -> bool:
        return self._store.compare_and_delete(f"claim:{name}", self._worker)
