"""Ctrl-C and SIGTERM: a training keeps them until the end of a step, so that what was done is saved.

A report unwinds at once: it ends the notebook that runs, and says so.
"""

import os
import signal
import sys
import threading
import time

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ENDINGS = (*SIGNALS, signal.SIGHUP)
SAME_SECONDS = 1.0  # make hands on what its process group got as well: within this, a second signal is the first again


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


def unwind_on_signals() -> None:
    """Makes Ctrl-C, SIGTERM and a closed terminal unwind this program, so that it can end what it started and say so.

    A signal that was ignored when the program started stays so (`nohup`, a job in the background).
    """
    first = [-SAME_SECONDS]

    def unwind(number: int, frame) -> None:
        if time.monotonic() - first[0] < SAME_SECONDS:
            return
        first[0] = time.monotonic()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    for number in ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, unwind)


def name(error: BaseException) -> str:
    """What an exception that unwound the program came from: `Ctrl-C`, SIGTERM; nothing if it is no such exception."""
    if isinstance(error, KeyboardInterrupt):
        return "Ctrl-C"
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
        return signal.Signals(error.code - 128).name
    return ""


def end_with(parent: int, poll_seconds: float = 0.5) -> None:
    """Ends this process by SIGTERM soon after its parent (a process id) is gone, however that one ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(poll_seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
