"""The process that copies a study to Weights & Biases: `python -m auricle.tracking.mirror STUDY online|offline`.

It follows the cells' folders until it learns that the study has ended, sends the rest and exits. If the study dies, it
exits at once; if the server does not answer in the end, it does not wait (`final_sync.py`). Online, each epoch is sent
as it is written, and the server is asked which rows of a run it has, as some may get lost. Offline, a run is written
completely after its cell has ended, because W&B cannot continue an offline run: so there is one file per cell, with no
row twice. If W&B cannot be reached, online becomes offline.
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
    """One cell and its run in W&B."""

    tracker = "wandb"

    def __init__(self, cell: Cell, mode: SendMode, names: Mapping[str, Any], preset: Mapping[str, Any]) -> None:
        super().__init__(cell)
        self.mode = mode
        self.names = names
        self.preset = preset
        if self.tracked.mode != mode:  # epochs sent in the other mode are missing
            self.tracked = replace(self.tracked, mode=mode, epochs=0)
        self.run: Any = None

    def send(self) -> None:
        """Send what the run lacks; offline, only after the cell has ended."""
        state = state_of(self.cell)
        if self.mode == "online":
            try:
                self._send(state, self.tracked.epochs)
            except AuricleError:
                raise
            except Exception as error:  # from W&B, the network or HTTP
                raise LostConnection(f"{type(error).__name__}: {error}") from error
        elif state not in ("running", self.tracked.state):
            old = self.tracked.folder
            self._send(state, 0)
            if old and old != self.tracked.folder:  # the same run, from before it failed
                shutil.rmtree(old, ignore_errors=True)

    def _send(self, state: str, epochs: int) -> None:
        history = runs.read_history(self.cell)
        if state in ("running", self.tracked.state) and (not history or history[-1]["epoch"] <= epochs):
            return
        if self.run is None:
            self.run, epochs = self._open(), 0  # for a resumed run, `run.step` says how many rows the server has
        run = self.run
        for record in history:
            if record["epoch"] > epochs and record["epoch"] >= run.step:
                run.log(curves_of(record), step=record["epoch"])
        last = history[-1]["epoch"] if history else epochs
        self.remember(epochs=last, state="running")  # no longer that of an earlier try
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
    """Return W&B's project (the dataset), group (the study) and folder; W&B's environment variables override them."""
    return {
        "project": os.environ.get("WANDB_PROJECT") or dataset_name(description),
        "group": os.environ.get("WANDB_RUN_GROUP") or description["study"]["name"],
        "dir": os.environ.get("WANDB_DIR") or str(study.folder),
    }


def follow_study(study: StudyFolder, mode: SendMode, final_sync: FinalSync) -> int:
    """Mirror a study until it has ended; return the number of cells that could not be mirrored.

    Raises:
        LostConnection: the rest must be written offline.
    """
    names = names_for_wandb(study, load_record(study.description))
    return follow(study, final_sync.over, lambda cell, preset: WandbMirror(cell, mode, names, preset))


def main(study: StudyFolder, mode: SendMode, final_sync: FinalSync) -> int:
    """Mirror a study and return the exit code."""
    disable_telemetry()
    for kind in ("CACHE", "DATA"):  # otherwise W&B writes to the home folder
        os.environ.setdefault(f"WANDB_{kind}_DIR", str(study.folder / "wandb" / kind.lower()))
    import wandb

    wandb.setup()
    final_sync.listen()
    if mode == "online" and (trouble := final_sync.first_answer()):
        sys.stderr.write(f"W&B cannot be reached; writing offline: {visible(trouble)}\n")
        mode, final_sync.online = "offline", False
    import auricle.scoring.metrics  # noqa: F401 - loads scikit-learn now, so that the last cell need not wait for it

    try:
        return 1 if follow_study(study, mode, final_sync) else 0
    except LostConnection as error:
        sys.stderr.write(f"connection to W&B lost; writing the rest offline: {visible(str(error))}\n")
        return _start_again("offline", final_sync)


def _start_again(mode: SendMode, final_sync: FinalSync) -> NoReturn:
    """Replace this process by a new mirror of the same study, without W&B's unfinished or hanging work."""
    arguments = [mode, "over"] if final_sync.over.is_set() else [mode]
    become([sys.executable, "-m", "auricle.tracking.mirror", sys.argv[1], *arguments])


if __name__ == "__main__":
    lower_priority()
    asked = cast(SendMode, sys.argv[2])
    final_sync = FinalSync(online=asked == "online", over="over" in sys.argv[3:])
    code = main(StudyFolder(Path(sys.argv[1])), asked, final_sync)
    sys.stderr.flush()
    os._exit(code)  # skips W&B's exit handlers, which would wait for a server that does not answer
