"""The process that copies a study to Weights & Biases: `python -m auricle.tracking.mirror STUDY online|offline`.

It follows the cells' folders until it learns that the study is over, sends the rest and ends. Where the study dies, it
ends at once; where the server does not answer in the end, it does not wait (`final_sync.py`). Online, each epoch is
sent as it is written, and what the server has of a run it says itself, as rows may get lost on their way. Offline, a
run is written whole once its cell has ended, because W&B cannot continue an offline run: there is one file a cell, and
no row in it twice. Where W&B cannot be reached, online becomes offline.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from auricle import runs
from auricle.config.reading import load_record
from auricle.errors import AuricleError
from auricle.runs import Cell, StudyFolder
from auricle.system import become, disable_telemetry, lower_priority
from auricle.text import visible
from auricle.tracking.final_sync import FinalSync
from auricle.tracking.following import (
    CellMirror,
    LostConnection,
    cause_of,
    curves_of,
    dataset_name,
    follow,
    scores_of,
)
from auricle.tracking.tracking import state_of

SendMode = Literal["online", "offline"]
SETTINGS = {
    **{"silent": True, "console": "off", "disable_code": True, "disable_git": True, "save_code": False},
    **{"x_disable_stats": True, "x_save_requirements": False},
    **{"init_timeout": 30.0, "finish_timeout": 20.0, "finish_timeout_raises": True},
}


class WandbMirror(CellMirror):
    """One cell and its run of W&B."""

    tracker = "wandb"

    def __init__(self, cell: Cell, mode: SendMode, names: Mapping[str, Any], preset: Mapping[str, Any]) -> None:
        super().__init__(cell)
        self.mode = mode
        self.names = names
        self.preset = preset
        if self.tracked.mode != mode:  # epochs that were sent the other way are not there
            self.tracked = replace(self.tracked, mode=mode, epochs=0)
        self.run: Any = None

    def send(self) -> None:
        """Send what the run does not have yet; offline, once the cell has ended."""
        state = state_of(self.cell)
        if self.mode == "online":
            try:
                self._send(state, self.tracked.epochs)
            except AuricleError:
                raise
            except Exception as error:  # of W&B, of the network, of HTTP
                raise LostConnection(f"{type(error).__name__}: {error}") from error
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
                run.log(curves_of(record), step=record["epoch"])
        last = history[-1]["epoch"] if history else epochs
        self.remember(epochs=last)
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
        self.remember(run_id=run.id, folder=str(Path(run.dir).parent), url=url or "")
        return run

    def _close(self, state: str, last_epoch: int) -> None:
        if state == "finished":
            self._send_scores(last_epoch)
        else:
            self.run.summary["error"] = cause_of(self.cell)
        run, self.run = self.run, None
        run.finish(exit_code=0 if state == "finished" else 1)
        self.remember(state=state)

    def _send_scores(self, last_epoch: int) -> None:
        from auricle.scoring.predictions import read_predictions
        from auricle.tracking.charts import charts

        self.run.summary.update(scores_of(self.cell))
        test = read_predictions(self.cell.predictions).of("test").by_clip()
        pictures = charts(test.probabilities, test.labels, test.categories)
        self.run.log(pictures, step=last_epoch + 1)

    def leave(self) -> None:
        """Close the run of a cell that has not ended; it can be resumed."""
        if self.run is not None:
            self.run.finish(exit_code=1)


def names_for_wandb(study: StudyFolder, description: Mapping[str, Any]) -> dict[str, Any]:
    """Return W&B's project (the dataset), group (the study) and folder; its own variables come first."""
    return {
        "project": os.environ.get("WANDB_PROJECT") or dataset_name(description),
        "group": os.environ.get("WANDB_RUN_GROUP") or description["study"]["name"],
        "dir": os.environ.get("WANDB_DIR") or str(study.folder),
    }


def follow_study(study: StudyFolder, mode: SendMode, final_sync: FinalSync) -> int:
    """Mirror a study until it is over; return how many cells could not be mirrored.

    Raises:
        LostConnection: the rest must be written offline.
    """
    names = names_for_wandb(study, load_record(study.description))
    return follow(study, final_sync.over, lambda cell, preset: WandbMirror(cell, mode, names, preset))


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
        return 1 if follow_study(study, mode, final_sync) else 0
    except LostConnection as error:
        sys.stderr.write(f"not online, so the rest is written offline: {visible(str(error))}\n")
        return _start_again("offline", final_sync)


def _start_again(mode: SendMode, final_sync: FinalSync) -> NoReturn:
    """Become a new mirror of the same study, without what W&B has left undone, hanging or broken in this one."""
    arguments = [mode, "over"] if final_sync.over.is_set() else [mode]
    become([sys.executable, "-m", "auricle.tracking.mirror", sys.argv[1], *arguments])


if __name__ == "__main__":
    lower_priority()
    asked = cast(SendMode, sys.argv[2])
    final_sync = FinalSync(online=asked == "online", over="over" in sys.argv[3:])
    code = main(StudyFolder(Path(sys.argv[1])), asked, final_sync)
    sys.stderr.flush()
    os._exit(code)  # W&B would wait once more for a server that does not answer
