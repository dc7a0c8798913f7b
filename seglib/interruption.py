"""Ctrl-C and SIGTERM during a training: they wait for the end of a step, so that what was done is saved."""

import os
import signal
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context in which the first signal is kept until `obey` is called, and a second one acts at once."""

    def __enter__(self) -> "Interruption":
        self.number, self.handlers = None, {}
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            self.handlers = {number: signal.signal(number, self._keep) for number in SIGNALS}
        return self

    def __exit__(self, error=None, *_) -> None:
        if error is None and self.number is not None:  # came when all was done
            self.obey()
        self._restore()

    def obey(self) -> None:
        """Does what the signal would have done, had it not been kept."""
        self._restore()
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        os.kill(os.getpid(), self.number)

    def _restore(self) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self.handlers = {}

    def _keep(self, number: int, frame) -> None:
        if self.number is not None:
            self.obey()
        self.number = number
