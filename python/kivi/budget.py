"""The deadline of a call that is made of several steps."""
import time

from kivi import errors as _errors


class Budget:
    """The seconds that the steps of one call may take together; None: each has the store's own timeout."""

    def __init__(self, timeout):
        self.left = timeout.total_seconds() if hasattr(timeout, "total_seconds") else timeout
        self._is_begun = False

    def spend(self, make, *arguments, **named):
        """The result of a step, which is not begun when the time is over."""
        if self.left is None:
            return make(*arguments, **named)
        began = self.begin()
        result = make(*arguments, timeout=self.left, **named)
        self.take(time.monotonic() - began)
        return result

    def begin(self):
        """When a step begins. Of the first the call itself judges the timeout."""
        if self._is_begun:
            self.check()
        self._is_begun = True
        return time.monotonic()

    def take(self, seconds):
        if self.left is not None and self.left > 0:
            self.left = max(self.left - seconds, 0)

    def check(self):
        if self.left is not None and self.left <= 0:
            raise _errors.Timeout("the time of the call is over")
