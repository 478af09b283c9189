"""Being told to stop: the first signal becomes an exception, so that everything is ended in order."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """This process was told to stop by the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def hear() -> None:
    """Turn the first signal that tells this process to stop into Stopped; a supervisor often sends it twice."""

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        for each in STOPS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    for each in STOPS:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup, and a shell's background jobs
            signal.signal(each, stop)
