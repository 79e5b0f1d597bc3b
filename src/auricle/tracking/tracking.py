"""Weights & Biases beside a study: which mode, and a mirror process that can fail without harm.

history.jsonl and metrics.json are the truth. A process of its own (`auricle.tracking.mirror`) reads them as they
grow and writes one W&B run a cell; no training waits for it, and nothing is read back. It remembers in each
cell's tracking.json what it has sent, so that a study that goes on continues its runs.
"""

import contextlib
import netrc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from auricle import files
from auricle.errors import RefusedError, choices
from auricle.runs import Cell, StudyFolder

Mode = Literal["online", "offline", "off"]
MODES: dict[str, Mode] = {
    **{"online": "online", "run": "online", "shared": "online"},
    **{"offline": "offline", "dryrun": "offline", "off": "off", "disabled": "off"},
}
WANDB_HOSTS = ["api.wandb.ai", "api.forge.coreweave.com"]  # under which `wandb login` keeps a key
WAIT_S = 60.0  # for the mirror to finish, once the cells have
OVER = b"over\n"  # sent to the mirror when the study has ended; where the pipe ends without, the study was killed
GIVEN_UP = 75  # exit code of a mirror whose server does not answer


@dataclass(frozen=True)
class Tracked:
    """What was sent of one cell: the last epoch and the state, to which run of W&B, kept and seen where."""

    run_id: str = ""
    mode: str = ""
    epochs: int = 0
    state: str = "running"
    folder: str = ""
    url: str = ""


def read_tracked(cell: Cell) -> Tracked:
    """Read what was sent of a cell; nothing, where that is unknown."""
    with contextlib.suppress(RefusedError, TypeError):
        return Tracked(**files.read_sealed(cell.folder / "tracking.json"))
    return Tracked()


def write_tracked(cell: Cell, tracked: Tracked) -> None:
    """Remember what was sent of a cell."""
    files.write_sealed(cell.folder / "tracking.json", asdict(tracked))


def state_of(cell: Cell) -> str:
    """Return "finished", "failed" or "running"."""
    if cell.done:
        return "finished"
    return "failed" if cell.error.exists() else "running"


def choose_mode(asked: str | None, environment: Mapping[str, str] = os.environ) -> Mode:
    """Return how W&B is used: as asked, else as WANDB_MODE says, else online if there is an API key.

    Without a key nothing can go online, so that "online" becomes "offline".

    Raises:
        UsageError: no such mode.
    """
    name = "option --wandb" if asked else "WANDB_MODE"
    wish = asked or environment.get("WANDB_MODE") or "online"
    if wish not in MODES:
        raise choices(name, wish, ["online", "offline", "off"])
    mode = MODES[wish]
    return "offline" if mode == "online" and not _has_key(environment) else mode


def _has_key(environment: Mapping[str, str]) -> bool:
    """Look where W&B looks: its variables, then the netrc file that `wandb login` writes."""
    if environment.get("WANDB_API_KEY") or environment.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    given = environment.get("WANDB_BASE_URL")
    hosts = [urlsplit(given).netloc] if given else WANDB_HOSTS
    homes = [environment["NETRC"]] if environment.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for path in homes:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            if any(map(netrc.netrc(Path(path).expanduser()).authenticators, hosts)):
                return True
    return False


class Mirror:
    """The mirror process, seen from the study: started, left alone, waited for."""

    def __init__(self, study: StudyFolder, mode: Mode) -> None:
        self.study = study
        self.mode = mode
        self.folder = study.folder / "wandb"
        self.log = self.folder / "mirror.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.failure = ""

    def start(self) -> None:
        """Start the process; if that fails, say so at the end."""
        command = [sys.executable, "-m", "auricle.tracking.mirror", str(self.study.folder.resolve()), self.mode]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as log:  # its own session: Ctrl-C is answered by the study alone
                options = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log, "start_new_session": True}
                self.process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
        except OSError as error:
            self.failure = f"the mirror failed, the study did not: {error}"

    def finish(self, timeout_s: float) -> str:
        """Let the process send what is left, and return one line for a person, empty where there is no process."""
        if self.process is not None:
            try:
                self._end(timeout_s)
            finally:  # whatever W&B has started ends with its mirror
                self.stop()
        if self.failure:
            return f"W&B: {self.failure}"
        return self._where() if self.process else ""

    def _end(self, timeout_s: float) -> None:
        """Tell the process that the study is over, and wait for it."""
        assert self.process is not None
        assert self.process.stdin is not None
        rest = "results are complete, and the same command sends the rest"
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            pipe.write(OVER)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.failure = f"not finished after {timeout_s:g} s, given up; {rest}"
            return
        if code == GIVEN_UP:
            self.failure = f"{_last_line(self.log)}; {rest}"
        elif code:
            cause = _last_line(self.log) or f"exit code {code}"
            self.failure = f"the mirror failed, the study did not: {cause} (more in {self.log})"

    def stop(self) -> None:
        """End the process, and those that W&B started, at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _where(self) -> str:
        tracked = [read_tracked(cell) for cell in self.study.cells()]
        if urls := [entry.url for entry in tracked if entry.url and entry.mode == self.mode == "online"]:
            return f"W&B: {urls[0].partition('/runs/')[0]}"
        if folders := [Path(entry.folder) for entry in tracked if entry.folder and entry.mode == "offline"]:
            why = "could not be reached" if self.mode == "online" else "is offline"
            below, here = folders[0].parent, Path.cwd()
            shown = below.relative_to(here) if below.is_relative_to(here) else below
            return f"W&B {why}; to upload: wandb sync {shown}/offline-run-*"
        return "W&B: nothing was sent"


def mirrored(mode: Mode, note: Callable[[str], object]) -> Callable[[StudyFolder, bool], AbstractContextManager[None]]:
    """Return what `run_study` takes as `beside`: a mirror while cells are trained, and a note for people at the end."""

    @contextlib.contextmanager
    def beside(study: StudyFolder, changes: bool) -> Iterator[None]:
        mirror = Mirror(study, mode)
        unsent = (state_of(cell) not in ("running", read_tracked(cell).state) for cell in study.cells())
        if mode != "off" and (changes or any(unsent)):
            mirror.start()
        try:
            yield
        except BaseException:  # stopped by a person, or by the machine: the mirror gets a moment, not a minute
            mirror.finish(timeout_s=3.0)
            raise
        if line := mirror.finish(WAIT_S):
            note(line)

    return beside


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2].strip()
    return ""
