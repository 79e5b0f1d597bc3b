"""Experiment trackers of a study: which ones are used and how, and the mirror processes that may fail without harm.

history.jsonl and metrics.json are the source of truth. One process per tracker (`auricle.tracking.mirror` for Weights &
Biases, `auricle.tracking.local` for TensorBoard and MLflow) reads them as they grow and writes one run per cell; no
training waits for it, and nothing is read back. It records in each cell's folder what it has sent, so that a resumed
study continues its runs.
"""

import contextlib
import netrc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Literal
from urllib.parse import urlsplit

from auricle import files
from auricle.errors import RefusedError, choices
from auricle.extras import is_installed, require
from auricle.runs import Cell, StudyFolder
from auricle.system import expanded, kill_session, own_session

Mode = Literal["online", "offline", "off"]
MODES: dict[str, Mode] = {
    **{"online": "online", "run": "online", "shared": "online"},
    **{"offline": "offline", "dryrun": "offline", "off": "off", "disabled": "off"},
}
TITLES = {"wandb": "W&B", "tensorboard": "TensorBoard", "mlflow": "MLflow"}
PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboardX", "mlflow": "mlflow"}
WANDB_HOSTS = ["api.wandb.ai", "api.forge.coreweave.com"]  # host names under which `wandb login` stores a key
WAIT_S = 60.0  # for the mirror to finish, once the cells have
OVER = b"over\n"  # sent to the mirror when the study has ended; if the pipe closes without it, the study was killed
GIVEN_UP = 75  # exit code of a mirror whose server does not answer


@dataclass(frozen=True)
class Tracked:
    """What was sent of one cell: the last epoch and the state, and the run's id, folder and URL; `mode` is W&B's."""

    run_id: str = ""
    mode: str = ""
    epochs: int = 0
    state: str = "running"
    folder: str = ""
    url: str = ""


def read_tracked(cell: Cell, tracker: str = "wandb") -> Tracked:
    """Read what was sent of a cell; defaults if that is unknown."""
    with contextlib.suppress(RefusedError, TypeError):
        return Tracked(**files.read_sealed(_tracking_file(cell, tracker)))
    return Tracked()


def write_tracked(cell: Cell, tracker: str, tracked: Tracked) -> None:
    """Record what was sent of a cell."""
    files.write_sealed(_tracking_file(cell, tracker), asdict(tracked))


def _tracking_file(cell: Cell, tracker: str) -> Path:
    return cell.folder / ("tracking.json" if tracker == "wandb" else f"tracking-{tracker}.json")


def state_of(cell: Cell) -> str:
    """Return "finished", "failed" or "running"."""
    if cell.done:
        return "finished"
    return "failed" if cell.error.exists() else "running"


def choose_trackers(trackers: str | None, wandb: str | None) -> tuple[Mode, list[str]]:
    """Return how W&B is used, and the other trackers, from the options --tracker and --wandb.

    Args:
        trackers: comma-separated names; None is W&B, if it is installed.
        wandb: as in `choose_mode`; None omits W&B unless `trackers` names it.

    Raises:
        UsageError: no such tracker or mode.
        MachineError: a requested tracker is not installed.
    """
    names = [name.strip() for name in (trackers or "").split(",") if name.strip()]
    for name in names:
        if name not in TITLES:
            raise choices("option --tracker", name, list(TITLES))
    mode = choose_mode(wandb)
    is_asked = "wandb" in names or wandb is not None
    if (trackers is not None and not is_asked) or (not is_asked and not is_installed("wandb")):
        mode = "off"
    for name in {*names, *(["wandb"] if is_asked and mode != "off" else [])}:
        require(PACKAGES[name])
    return mode, [name for name in TITLES if name in names and name != "wandb"]


def mlflow_uri(study: StudyFolder) -> str:
    """Return the URI of MLflow's runs: $MLFLOW_TRACKING_URI, else a database file in the study."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(study.folder / 'mlflow').resolve()}/mlflow.db"


def choose_mode(asked: str | None, environment: Mapping[str, str] = os.environ) -> Mode:
    """Return the mode of W&B: as requested, else $WANDB_MODE, else online if there is an API key.

    Without a key, "online" becomes "offline".

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
    """Look for a key where W&B does: in its environment variables, then in the netrc file of `wandb login`."""
    if environment.get("WANDB_API_KEY") or environment.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    given = environment.get("WANDB_BASE_URL")
    hosts = [urlsplit(given).netloc] if given else WANDB_HOSTS
    homes = [environment["NETRC"]] if environment.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for path in homes:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            if any(map(netrc.netrc(expanded(path)).authenticators, hosts)):
                return True
    return False


class Mirror:
    """The mirror process of a tracker, as seen by the study: it is started, and at the end waited for."""

    def __init__(self, study: StudyFolder, mode: Mode, tracker: str = "wandb") -> None:
        self.study = study
        self.mode = mode
        self.tracker = tracker
        self.folder = study.folder / tracker
        self.log = self.folder / "mirror.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.failure = ""

    def start(self) -> None:
        """Start the process; a failure is reported at the end by `finish`."""
        module, how = ("mirror", self.mode) if self.tracker == "wandb" else ("local", self.tracker)
        command = [sys.executable, "-m", f"auricle.tracking.{module}", str(self.study.folder.resolve()), how]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as log:  # a session of its own, which Ctrl-C does not reach
                options = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log, **own_session()}
                self.process = subprocess.Popen(command, **options)
        except OSError as error:
            self.failure = f"not started, the study is not affected: {error}"

    def finish(self, timeout_s: float) -> str:
        """Let the process send the rest, and return one line for the user, empty if there is no process."""
        if self.process is not None:
            try:
                self._end(timeout_s)
            finally:  # also ends the processes that the tracker started
                self.stop()
        if self.failure:
            return f"{TITLES[self.tracker]}: {self.failure}"
        return self._where() if self.process else ""

    def _end(self, timeout_s: float) -> None:
        """Tell the process that the study is over, and wait for it."""
        assert self.process is not None
        assert self.process.stdin is not None
        rest = "results are complete; run the same command to send the rest"
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            pipe.write(OVER)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.failure = f"not finished after {timeout_s:g} s, so it was stopped; {rest}"
            return
        if code == GIVEN_UP:
            self.failure = f"{_last_line(self.log)}; {rest}"
        elif code:
            cause = _last_line(self.log) or f"exit code {code}"
            self.failure = f"failed, the study is not affected: {cause} (see {self.log})"

    def stop(self) -> None:
        """End the process, and those that the tracker started, at once."""
        if self.process is not None:
            kill_session(self.process.pid)
            self.process.wait()

    def _where(self) -> str:
        if self.tracker == "tensorboard":
            return f"TensorBoard: tensorboard --logdir {quote(str(_from_here(self.folder)))}"
        if self.tracker == "mlflow":
            uri = mlflow_uri(self.study)
            return f"MLflow: {f'mlflow ui --backend-store-uri {quote(uri)}' if uri.startswith('sqlite:') else uri}"
        tracked = [read_tracked(cell) for cell in self.study.cells()]
        if urls := [entry.url for entry in tracked if entry.url and entry.mode == self.mode == "online"]:
            return f"W&B: {urls[0].partition('/runs/')[0]}"
        if folders := [Path(entry.folder) for entry in tracked if entry.folder and entry.mode == "offline"]:
            why = "could not be reached" if self.mode == "online" else "was used offline"
            return f"W&B {why}; to upload: wandb sync {quote(str(_from_here(folders[0].parent)))}/offline-run-*"
        return "W&B: nothing was sent"


def mirrored(
    mode: Mode, note: Callable[[str], object], others: Sequence[str] = ()
) -> Callable[[StudyFolder, bool], AbstractContextManager[None]]:
    """Return a context manager for the argument `beside` of `run_study`, which runs the mirrors during training.

    Args:
        mode: of W&B.
        note: called with one line per mirror at the end.
        others: trackers beside W&B: "tensorboard", "mlflow".
    """

    @contextlib.contextmanager
    def beside(study: StudyFolder, changes: bool) -> Iterator[None]:
        trackers = [*(["wandb"] if mode != "off" else []), *others]
        mirrors = [Mirror(study, mode, tracker) for tracker in trackers if changes or _has_unsent(study, tracker)]
        for mirror in mirrors:
            mirror.start()
        try:
            yield
        except BaseException:  # the study was stopped: the mirrors get a few seconds, not a minute
            for mirror in mirrors:
                mirror.finish(timeout_s=3.0)
            raise
        for line in [mirror.finish(WAIT_S) for mirror in mirrors]:
            if line:
                note(line)

    return beside


def _has_unsent(study: StudyFolder, tracker: str) -> bool:
    return any(state_of(cell) not in ("running", read_tracked(cell, tracker).state) for cell in study.cells())


def _from_here(folder: Path) -> Path:
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2].strip()
    return ""
