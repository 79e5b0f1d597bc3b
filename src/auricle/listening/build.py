"""STUDY/report/errors.html: the most confident mistakes, to be heard."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from auricle import files
from auricle.listening.looks import looks
from auricle.listening.mistakes import MOST, Mistake, most_confident
from auricle.listening.page import Card, card, render, style, template
from auricle.predict.explain import Explanation
from auricle.report.chapter_listening import LISTENING_PAGE
from auricle.report.evidence import Study, load_study
from auricle.runs import StudyFolder
from auricle.runs.reopen import find_recordings

VERSION = 1  # of the pictures and sounds; raise it when they change
MAX_BYTES = 7_500_000  # of the page
MOST_S = 20.0  # of a clip


def build_listening_page(
    study_folder: Path,
    *,
    source: str | None = None,
    root: Path | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Path | None:
    """Write STUDY/report/errors.html, or leave one that is still true.

    Args:
        study_folder: written by a study, which may be unfinished.
        source: where a person's own recordings lie now; None: where they lay.
        root: where named datasets lie; None: as `load_manifest` says.
        on_progress: told in a few words what comes next.

    Returns:
        Its path; None where no cell is finished.

    Raises:
        UsageError, RefusedError: no study, or its recordings are not found; a page that is no longer true is gone.
        MachineError: the disk refuses.
    """
    study = load_study(study_folder)
    if not study.cells:
        return None
    mistakes = most_confident(study)
    folder = StudyFolder(study.folder)
    path, made_of = folder.report / LISTENING_PAGE, _made_of(study, mistakes)
    if _is_of(path, made_of):
        return path
    with files.machine_errors(path):
        path.unlink(missing_ok=True)
    tell = on_progress or (lambda words: None)
    tell("looking for the recordings")
    found = find_recordings(folder, source=source, root=root).clips if mistakes else ()
    clips = {clip.name: clip.path for clip in found}
    duration_s = min(study.dataset.clip_s, MOST_S)
    tell("asking the models where they looked")
    looked = _looks(study, mistakes, clips, duration_s)
    tell("drawing the mistakes")
    cards = _fitting([card(study, own, clips[own[0].clip], looked, duration_s) for own in mistakes])
    files.write_text(path, render(study, cards, duration_s=duration_s, most=MOST, made_of=made_of))
    return path


def _fitting(cards: Sequence[Card]) -> list[Card]:
    """Return the first cards, as many as a page may hold."""
    kept, left = [], MAX_BYTES
    for one in cards:
        left -= (
            len(one.sound) + len(one.pictures) + sum(len(answer.looked) + len(answer.bars) for answer in one.answers)
        )
        if left < 0:
            break
        kept.append(one)
    return kept


def _looks(
    study: Study, mistakes: Sequence[Sequence[Mistake]], clips: Mapping[str, Path], duration_s: float
) -> dict[tuple[str, str], Explanation]:
    """Return where each model looked, by model and clip, as far as its weights are there."""
    asked = defaultdict(list)
    for mistake in (mistake for own in mistakes for mistake in own):
        asked[mistake.cell].append(mistake.clip)
    found = {}
    for name, names in asked.items():
        paths = {clip: clips[clip] for clip in names}
        cell, preset = StudyFolder(study.folder).cell(name), study.presets[name.model]
        looked = looks(cell, preset, len(study.dataset.categories), paths, duration_s)
        found.update({(name.model, clip): look for clip, look in looked.items()})
    return found


def _made_of(study: Study, mistakes: Sequence[Sequence[Mistake]]) -> str:
    """Hash all that the page is made of: the mistakes, the weights that were asked, and how it looks."""
    cells = sorted({mistake.cell for own in mistakes for mistake in own})
    weights = [StudyFolder(study.folder).cell(name).weights for name in cells]
    hashes = [files.digest(path.read_bytes()) if path.exists() else "" for path in weights]
    said = [[str(mistake) for mistake in own] for own in mistakes]
    looks_like = [style(), template("errors.html.j2"), template("errors.js"), VERSION]
    content = [
        study.dataset.digest,
        study.config.name,
        study.models,
        study.dataset.categories,
        said,
        hashes,
        looks_like,
    ]
    return files.digest(json.dumps(content).encode())


def _is_of(path: Path, made_of: str) -> bool:
    """Return whether a page is there and says that it is made of this."""
    try:
        with path.open("rb") as file:
            return made_of.encode() in file.read(4096)
    except OSError:
        return False
