"""When a mirror process ends: it learns that its study has ended or died, and checks that the server still answers."""

import os
import sys
import threading
import time
from queue import Empty, SimpleQueue

from auricle.system import kill_session
from auricle.text import visible
from auricle.tracking.tracking import GIVEN_UP

SHARE = 0.01  # of its duration that a study waits for a server that does not answer
LEAST_S, MOST_S = 2.0, 10.0  # limits of that waiting time
FIRST_S = 10.0  # longest wait for the first response
PAUSE_S = 1.0  # between two requests
QUESTION = {"query": "query { viewer { id } }"}


class FinalSync:
    """In the mirror process: learns from standard input that the study has ended, and limits the time after that.

    `online`: wait for the server; `over`: the study has already ended.
    """

    def __init__(self, *, online: bool, over: bool = False) -> None:
        self.online = online
        self.over = threading.Event()
        if over:
            self.over.set()
        self._start = time.monotonic()

    def listen(self) -> None:
        """Start a thread that reads standard input, unless the study has ended."""
        if not self.over.is_set():
            threading.Thread(target=self._finish_in_time, daemon=True).start()

    def first_answer(self) -> str:
        """Send requests until the server answers correctly; return the problem if it does not, else an empty string.

        A request costs almost nothing, while W&B spends seconds of CPU time if it cannot connect. If the study ends
        meanwhile, `_finish_in_time` takes over.
        """
        end, trouble = time.monotonic() + FIRST_S, ""
        while not self.over.wait(PAUSE_S if trouble else 0.0):
            trouble = ask_server(max(end - time.monotonic(), PAUSE_S))
            if not trouble or time.monotonic() > end:
                return trouble
        return ""

    def _finish_in_time(self) -> None:
        if not sys.stdin.buffer.readline():  # the study died
            kill_session()
        self.over.set()
        patience_s = min(max(SHARE * (time.monotonic() - self._start), LEAST_S), MOST_S)
        while self.online:
            if trouble := ask_server(patience_s):
                sys.stderr.write(f"{visible(trouble)}\n")
                sys.stderr.flush()
                os._exit(GIVEN_UP)
            time.sleep(PAUSE_S)


def ask_server(timeout_s: float) -> str:
    """Send a request to the W&B server; return the problem, or an empty string. A response that is too slow is one."""
    answers: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=lambda: answers.put(_ask(timeout_s)), daemon=True).start()
    try:
        return answers.get(timeout=timeout_s)
    except Empty:
        return _silence(timeout_s)


def _silence(timeout_s: float) -> str:
    return f"the server has not answered for {timeout_s:.0f} s"


def _ask(timeout_s: float) -> str:
    import requests
    import wandb

    settings = wandb.setup().settings
    key = ("api", settings.api_key) if settings.api_key else None  # otherwise requests reads netrc
    try:
        answer = requests.post(f"{settings.base_url}/graphql", json=QUESTION, auth=key, timeout=timeout_s)
    except requests.exceptions.SSLError:
        return ""  # W&B's own client is another program, and may trust other certificates
    except requests.Timeout:  # on a busy machine before the time that `ask_server` waits
        return _silence(timeout_s)
    except requests.RequestException as error:
        return f"the server cannot be reached ({type(error).__name__})"
    return "" if answer.ok else f"the server responds {answer.status_code} {answer.reason}"
