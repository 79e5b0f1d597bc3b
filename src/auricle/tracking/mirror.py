"""The process that copies a study to Weights & Biases: `python -m auricle.tracking.mirror STUDY online|offline`.

It follows the cells' folders until it learns that the study is over, sends the rest and ends. Where the study dies, it
ends at once; where the server does not answer in the end, it does not wait (`final_sync.py`). Online, each epoch is
sent as it is written, and what the server has of a run it says itself, as rows may get lost on their way. Offline, a
run is written whole once its cell has ended, because W&B cannot continue an offline run: there is one file a cell, and
no row in it twice. Where W&B cannot be reached, online becomes offline.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, cast

from auricle import runs
from auricle.config.reading import load_record
from auricle.errors import AuricleError
from auricle.runs import Cell, StudyFolder
from auricle.system import disable_telemetry
from auricle.text import visible
from auricle.tracking.final_sync import FinalSync
from auricle.tracking.tracking import read_tracked, state_of, write_tracked

SendMode = Literal["online", "offline"]
POLL_S = 1.0
CURVES = {
    "train_accuracy": "train/accuracy",
    "train_loss": "train/loss",
    "validation_accuracy": "validation/accuracy",
    "validation_loss": "validation/loss",
    "learning_rate": "learning_rate",
}
SCORES = (
    "accuracy", "loss", "macro_precision", "macro_recall", "macro_f1", "macro_auc", "calibration_error",
)  # fmt: skip
COSTS = ("parameters", "trainable_parameters", "multiply_adds", "seconds", "epochs")

SETTINGS = {
    **{"silent": True, "console": "off", "disable_code": True, "disable_git": True, "save_code": False},
    **{"x_disable_stats": True, "x_save_requirements": False},
    **{"init_timeout": 30.0, "finish_timeout": 20.0, "finish_timeout_raises": True},
}


class NotOnline(Exception):  # noqa: N818
    """W&B cannot be reached, or does not accept the key."""


class CellMirror:
    """One cell and its run."""

    def __init__(self, cell: Cell, mode: SendMode, names: Mapping[str, Any], preset: Mapping[str, Any]) -> None:
        self.cell = cell
        self.mode = mode
        self.names = names
        self.preset = preset
        self.tracked = read_tracked(cell)
        if self.tracked.mode != mode:  # epochs that were sent the other way are not there
            self.tracked = replace(self.tracked, mode=mode, epochs=0)
        self.run: Any = None
        self.seen: tuple[Any, ...] = ()

    def catch_up(self) -> None:
        """Send what is new in the cell's folder, if anything."""
        found = tuple(_version_of(path) for path in (self.cell.history, self.cell.metrics, self.cell.error))
        if found == self.seen:
            return
        self.seen = found
        state = state_of(self.cell)
        if self.mode == "online":
            try:
                self._send(state, self.tracked.epochs)
            except AuricleError:
                raise
            except Exception as error:  # of W&B, of the network, of HTTP
                raise NotOnline(f"{type(error).__name__}: {error}") from error
        elif state not in ("running", self.tracked.state):
            old = self.tracked.folder
            self._send(state, 0)
            if old and old != self.tracked.folder:  # the same run, when it had failed
                shutil.rmtree(old, ignore_errors=True)

    def _send(self, state: str, epochs: int) -> None:
        history = runs.read_history(self.cell)
        if state in ("running", self.tracked.state) and (not history or history[-1]["epoch"] <= epochs):
            return
        if self.run is None:
            self.run, epochs = self._open(), 0  # a run that is resumed says how far it has come
        run = self.run
        for record in history:
            if record["epoch"] > epochs and record["epoch"] >= run.step:
                row = {name: record[key] for key, name in CURVES.items() if key in record}
                run.log(row, step=record["epoch"])
        last = history[-1]["epoch"] if history else epochs
        self._remember(epochs=last)
        if state != "running":
            self._close(state, last)

    def _open(self) -> Any:
        import wandb

        run = wandb.init(
            **self.names,
            id=self.tracked.run_id or secrets.token_hex(4),
            name=str(self.cell.name),
            config={**asdict(self.cell.name), **self.preset},
            mode=self.mode,
            resume="allow" if self.mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(**SETTINGS),
        )
        url = run.url if self.mode == "online" else ""
        self._remember(run_id=run.id, folder=str(Path(run.dir).parent), url=url or "")
        return run

    def _close(self, state: str, last_epoch: int) -> None:
        if state == "finished":
            self._send_scores(last_epoch)
        else:
            self.run.summary["error"] = json.loads(self.cell.error.read_text(encoding="utf-8"))["cause"]
        run, self.run = self.run, None
        run.finish(exit_code=0 if state == "finished" else 1)
        self._remember(state=state)

    def _send_scores(self, last_epoch: int) -> None:
        from auricle.scoring.predictions import read_predictions
        from auricle.tracking.charts import charts

        metrics = runs.read_metrics(self.cell, self.cell.predictions)
        clip, window = metrics["test"]["clip"], metrics["test"]["window"]
        self.run.summary.update({f"test/{name}": clip[name] for name in SCORES})
        self.run.summary["test/window_accuracy"] = window["accuracy"]
        self.run.summary.update({name: metrics[name] for name in COSTS})
        test = read_predictions(self.cell.predictions).of("test").by_clip()
        pictures = charts(test.probabilities, test.labels, test.categories)
        self.run.log(pictures, step=last_epoch + 1)

    def _remember(self, **changes: Any) -> None:
        self.tracked = replace(self.tracked, **changes)
        write_tracked(self.cell, self.tracked)

    def leave(self) -> None:
        """Close the run of a cell that has not ended; it can be resumed."""
        if self.run is not None:
            self.run.finish(exit_code=1)


def _version_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def names_for_wandb(study: StudyFolder, description: Mapping[str, Any]) -> dict[str, Any]:
    """Return W&B's project (the dataset), group (the study) and folder; its own variables come first."""
    dataset = re.sub(r"[/\\#?%:]+", "-", Path(description["dataset"]["source"]).resolve().name)[:100] or "recordings"
    return {
        "project": os.environ.get("WANDB_PROJECT") or dataset,
        "group": os.environ.get("WANDB_RUN_GROUP") or description["study"]["name"],
        "dir": os.environ.get("WANDB_DIR") or str(study.folder),
    }


def follow(study: StudyFolder, mode: SendMode, final_sync: FinalSync) -> int:
    """Mirror a study until it is over; return how many cells could not be mirrored.

    Raises:
        NotOnline: the rest must be written offline.
    """
    description = load_record(study.description)
    names = names_for_wandb(study, description)
    cells: dict[str, CellMirror] = {}
    failed: set[str] = set()
    ended = False
    while not ended:
        ended = final_sync.over.wait(POLL_S)
        for cell in study.cells():
            name = str(cell.name)
            if name in failed:
                continue
            try:
                if name not in cells:
                    cells[name] = CellMirror(cell, mode, names, description["models"][cell.name.model])
                cells[name].catch_up()
            except NotOnline:
                raise
            except Exception:  # a cell that cannot be sent does not keep the others from it
                traceback.print_exc()  # to standard error, which is the log
                failed.add(name)
    for mirror in cells.values():
        mirror.leave()
    return len(failed)


def main(study: StudyFolder, mode: SendMode, final_sync: FinalSync) -> int:
    """Mirror a study and return the exit code."""
    disable_telemetry()
    for kind in ("CACHE", "DATA"):  # else W&B writes below the home folder
        os.environ.setdefault(f"WANDB_{kind}_DIR", str(study.folder / "wandb" / kind.lower()))
    import wandb

    wandb.setup()
    final_sync.listen()
    if mode == "online" and (trouble := final_sync.first_answer()):
        sys.stderr.write(f"not online, so all is written offline: {visible(trouble)}\n")
        mode, final_sync.online = "offline", False
    import auricle.scoring.metrics  # noqa: F401, so that nobody waits for scikit-learn when the last cell ends

    try:
        return 1 if follow(study, mode, final_sync) else 0
    except NotOnline as error:
        sys.stderr.write(f"not online, so the rest is written offline: {visible(str(error))}\n")
        return _start_again("offline", final_sync)


def _start_again(mode: SendMode, final_sync: FinalSync) -> int:
    """Become a new mirror of the same study, without what W&B has left undone, hanging or broken in this one."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # W&B's own process
    arguments = [mode, "over"] if final_sync.over.is_set() else [mode]
    os.execv(sys.executable, [sys.executable, "-m", "auricle.tracking.mirror", sys.argv[1], *arguments])


def _give_way() -> None:
    """Let trainings come first: in our session, and in Linux's own groups of sessions, where nice holds inside one."""
    os.nice(19)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("10")


if __name__ == "__main__":
    _give_way()
    asked = cast(SendMode, sys.argv[2])
    final_sync = FinalSync(online=asked == "online", over="over" in sys.argv[3:])
    code = main(StudyFolder(Path(sys.argv[1])), asked, final_sync)
    sys.stderr.flush()
    os._exit(code)  # W&B would wait once more for a server that does not answer
