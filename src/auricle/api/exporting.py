"""Export a model of a study as a bundle, after training it on all clips if requested."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auricle.display.watching import say, watched
from auricle.errors import UsageError
from auricle.study.final import train_final
from auricle.work.options import RunOptions

if TYPE_CHECKING:
    from auricle.bundle.reading import Bundle


def export_model(
    folder: Path,
    to: Path,
    model: str | None = None,
    *,
    final: bool,
    every_seed: bool,
    int8: bool,
    source: str | None = None,
    root: Path | None = None,
    threads: int | None = None,
    level: int = 0,
) -> Bundle:
    """Write a finished cell, or a model of a study, as a bundle; with `final` it is trained on all clips first.

    `source` and `root` say where the recordings are now, as for `runs.reopen.reopen`; the other arguments are those of
    `Study.export`.
    """
    from auricle.bundle.export import check_folder, export_cell

    if final and int8:
        raise UsageError("int8 is measured on test clips, and a final model has none; leave out int8 or final")
    if final:
        check_folder(to)
        with watched(f"{folder}, on all clips", level) as listener:
            options = RunOptions(root, threads=threads)
            folder = train_final(folder, model, options, every_seed=every_seed, source=source, listener=listener).folder
    on_progress = say if level >= 0 else None
    return export_cell(
        folder, to, model=model, every_seed=every_seed, int8=int8, source=source, root=root, on_progress=on_progress
    )
