"""Kills a study again and again, at random moments, and says in JSON what became of it.

    python killed_study.py FOLDER NUM_SEEDS NUM_KILLS SEED WORKERS

Everything is imported once: every start of the study is a fork, in a group of processes of its own, and SIGKILL meets
the whole group. FOLDER/whole is the study that nobody disturbs, FOLDER/killed the other.
"""

import contextlib
import importlib
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from auricle import runs
from auricle.config import StudyConfig
from auricle.runs import StudyFolder
from auricle.study.study import run_study
from auricle.training import loop
from auricle.training.fit import fit_cell
from auricle.work.options import RunOptions
from made_sounds import write_sounds

EPOCHS = 6
BLOCKS = [
    {"axes": ["frequency"], "channels": 4, "stride": 2},
    {"axes": ["frequency", "time"], "channels": 6, "stride": 2},
]
TINY = {
    "audio": {"sample_rate_hz": 8_000, "window_s": 0.4, "window_hop_s": 0.1},
    "frontend": {"num_bands": 8},
    "base": {"layout": "map", "blocks": BLOCKS},
    "training": {"epochs": EPOCHS, "batch_size": 4, "views": 2, "weight_average": 0.9, "precision": "float32"},
}
PRESETS = {"plain": TINY, "attending": {**TINY, "encoder": {"num_heads": 2, "num_blocks": 1, "width": 8}}}
FILES = ("config.yaml", "history.jsonl", "predictions.csv", "model.safetensors", "metrics.json")


def config(folder: Path, num_seeds: int) -> StudyConfig:
    """Return a study of ten cells a seed; of three where there is no seed to spare."""
    models, protocols = tuple(PRESETS), ("test-split", "k-fold")
    if not num_seeds:
        models, protocols, num_seeds = ("plain",), ("test-split",), 3
    sounds = str(folder / "sounds")
    return StudyConfig(
        name="killed", data=sounds, models=models, protocols=protocols, seeds=tuple(range(num_seeds)), presets=PRESETS
    )


def counting(cell, *words, **options) -> None:
    """Train a cell, and write down every epoch before it begins."""
    log = os.open(cell.folder.parents[2] / "begun.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    plain = loop.train_epoch

    def epoch(trainer, clips, number):
        os.write(log, f"{cell.name} {number}\n".encode())
        return plain(trainer, clips, number)

    loop.train_epoch = epoch
    try:
        fit_cell(cell, *words, **{**options, "threads": 1})
    finally:
        loop.train_epoch = plain
        os.close(log)


def start(study: StudyConfig, out: Path, num_workers: int) -> int:
    """Run a study in a process of its own, and return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        torch.set_num_threads(1)
        result = run_study(study, out, RunOptions(workers=num_workers, device="cpu"), fit=counting)
        code = 1 if result.failed else 0
        (out.parent / "modules").write_text("\n".join(list(sys.modules)))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def finish(child: int) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def kill(child: int, delay_s: float) -> bool:
    """Kill a study after some time, and return whether it still ran."""
    time.sleep(delay_s)
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        assert status == 0
        return False
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def stamps(study: StudyFolder) -> dict[str, list[int]]:
    """Return inode and time of change of every file of a finished cell."""
    found = {}
    for cell in study.cells():
        for path in (cell.folder / name for name in FILES if cell.done):
            status = path.stat()
            found[f"{cell.name}/{path.name}"] = [status.st_ino, status.st_mtime_ns]
    return found


def outcome(study: StudyFolder) -> dict[str, list]:
    """Return all that a cell has found, without what its training has cost."""
    found = {}
    for cell in study.cells():
        metrics = runs.read_metrics(cell, *(cell.folder / name for name in FILES[:-1]))
        scores = [metrics[name] for name in ("test", "validation", "epochs", "collapse", "parameters")]
        history = [{**record, "step_seconds": 0, "seconds": 0, "cpu_seconds": 0} for record in runs.read_history(cell)]
        prints = [cell.predictions.read_text(), cell.weights.read_bytes().hex()]
        found[str(cell.name)] = [scores, history, prints, sorted(path.name for path in cell.folder.iterdir())]
    return found


def main(folder: Path, num_seeds: int, num_kills: int, seed: int, num_workers: int) -> dict:
    write_sounds(folder / "sounds")
    finish(start(config(folder, 0), folder / "first", 1))
    for name in (folder / "modules").read_text().splitlines():  # else every start would import them anew
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    study, whole, killed = config(folder, num_seeds), folder / "whole", folder / "killed"
    begin = time.monotonic()
    finish(start(study, whole, num_workers))
    whole_s = time.monotonic() - begin
    begin = time.monotonic()
    finish(start(study, whole, num_workers))
    start_s = time.monotonic() - begin  # of a study in which all is done
    rng, seen, touched, num_killed = random.Random(seed), {}, [], 0
    while num_killed < num_kills:
        at_start = rng.random() < 0.2
        delay_s = rng.uniform(0, start_s) if at_start else start_s + rng.uniform(0, 1.6 * whole_s / num_kills)
        num_killed += kill(start(study, killed, num_workers), delay_s)
        now = stamps(StudyFolder(killed))
        touched += [name for name in seen if now.get(name) != seen[name]]
        seen = now
    finish(start(study, killed, num_workers))
    now = stamps(StudyFolder(killed))
    touched += [name for name in seen if now.get(name) != seen[name]]
    log = killed / "begun.log"
    return {
        "same": outcome(StudyFolder(killed)) == outcome(StudyFolder(whole)),
        "num_cells": len(outcome(StudyFolder(killed))),
        "touched": touched,
        "begun": log.read_text().splitlines(),
        "halves": [path.name for path in killed.rglob("*.part")],
        "seconds": [round(whole_s, 2), round(start_s, 2)],
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *map(int, sys.argv[2:]))))  # noqa: T201
