"""How long a mirror may live: it learns that its study is over or dead, and asks whether the server still answers."""

import os
import sys
import threading
import time
from queue import Empty, SimpleQueue

from auricle.system import kill_session
from auricle.text import visible
from auricle.tracking.tracking import GIVEN_UP

SHARE = 0.01  # of its time that a study waits at most for a server that does not answer
LEAST_S, MOST_S = 2.0, 10.0  # of patience
FIRST_S = 10.0  # that the server may take to answer at all
PAUSE_S = 1.0  # between two questions
QUESTION = {"query": "query { viewer { id } }"}


class FinalSync:
    """In the mirror: what the study sends through standard input, and the time that is left after it.

    Online, a server is waited for; `over`: the study is known to be over.
    """

    def __init__(self, *, online: bool, over: bool = False) -> None:
        self.online = online
        self.over = threading.Event()
        if over:
            self.over.set()
        self._start = time.monotonic()

    def listen(self) -> None:
        """Begin to read standard input, in a thread, unless the study is over."""
        if not self.over.is_set():
            threading.Thread(target=self._finish_in_time, daemon=True).start()

    def first_answer(self) -> str:
        """Ask the server until it answers as it should; return why it does not, or nothing.

        Asking costs next to nothing, and W&B that cannot come online seconds of a processor. Where the study ends
        meanwhile, `_finish_in_time` decides.
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
    """Ask the server of W&B who we are; return what is wrong with its answer, or nothing. One that trickles is none."""
    answers: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=lambda: answers.put(_ask(timeout_s)), daemon=True).start()
    try:
        return answers.get(timeout=timeout_s)
    except Empty:
        return f"the server has not answered for {timeout_s:.0f} s"


def _ask(timeout_s: float) -> str:
    import requests
    import wandb

    settings = wandb.setup().settings
    key = ("api", settings.api_key) if settings.api_key else None  # else requests looks into netrc
    try:
        answer = requests.post(f"{settings.base_url}/graphql", json=QUESTION, auth=key, timeout=timeout_s)
    except requests.exceptions.SSLError:
        return ""  # W&B's own client, which is another program, may trust whom this one does not
    except requests.RequestException as error:
        return f"the server cannot be reached ({type(error).__name__})"
    return "" if answer.ok else f"the server answers {answer.status_code} {answer.reason}"
