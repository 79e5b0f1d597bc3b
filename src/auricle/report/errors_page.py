"""STUDY/report/errors.html plays the most confident mistakes; sounds, pictures and style are in this one file.

The template escapes every name; only what `figures.tracks` draws passes as markup.
"""

import base64
import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from markupsafe import Markup

from auricle import files
from auricle.data.audio import load_waveform
from auricle.errors import RefusedError
from auricle.findings.mistakes import MOST, Mistake, explain_mistakes, most_confident
from auricle.findings.study import Study
from auricle.predict.explain import Explanation
from auricle.report.chapters.closing import ERRORS_PAGE
from auricle.report.figures.dataset import mel_levels
from auricle.report.figures.style import palette
from auricle.report.figures.tracks import Saliency, axis_track, saliency_tracks, spectrogram_track, waveform_track
from auricle.report.pages import page, template
from auricle.runs import StudyFolder
from auricle.runs.reopen import find_recordings
from auricle.system import num_cores

VERSION = 2  # of the pictures and sounds; increase it when they change
MAX_BYTES = 7_500_000  # of the page
MOST_S = 20.0  # of a clip
FEW_CELLS = 8  # whose mistakes are explained sooner than a process has started
NUM_BARS = 3  # most probable categories of an answer, besides the true one
PLAYED_HZ = 16_000
Explained = Mapping[tuple[str, str], Explanation]  # by model and clip
COMPRESSION = 0.5  # of MP3, 0 to 1: about 40 kbit/s for a mono sound


@dataclass(frozen=True)
class Card:
    """A clip on the page: its sound, pictures of it by the name of their style, and each model's wrong answer."""

    sound: str
    pictures: Mapping[str, Markup]
    mistakes: Sequence[Mistake]
    saliency: Mapping[str, Saliency]  # by model, where its weights are available

    @property
    def num_bytes(self) -> int:
        """Return its size on the page, apart from a little text."""
        saliency = sum(each.num_bytes for each in self.saliency.values())
        return len(self.sound) + sum(map(len, self.pictures.values())) + saliency


def build_errors_page(
    study: Study,
    *,
    source: str | None = None,
    root: Path | None = None,
    on_progress: Callable[..., None] = lambda *message: None,
) -> Path | None:
    """Write STUDY/report/errors.html, or keep one that is up to date; return None where no cell is finished.

    Recordings are searched for by `runs.reopen.find_recordings`.

    Raises:
        UsageError, RefusedError: the recordings are not found; an outdated page is deleted.
        MachineError: the page cannot be written.
    """
    if not study.cells:
        return None
    by_clip, folder = most_confident(study), StudyFolder(study.folder)
    path, made_of = folder.report / ERRORS_PAGE, _made_of(study, by_clip)
    if _is_made_of(path, made_of):
        return path
    with files.machine_errors(path):
        path.unlink(missing_ok=True)
    on_progress("looking for the recordings")
    found = find_recordings(folder, source=source, root=root).clips if by_clip else ()
    paths = {clip.name: clip.path for clip in found}
    duration_s = min(study.dataset.clip_s, MOST_S)
    every = [mistake for mistakes in by_clip for mistake in mistakes]
    explained = explain_mistakes(
        study, every, paths, duration_s, partial(on_progress, "computing the saliency of the models")
    )
    on_progress("drawing the mistakes")
    cards = [_card(study, mistakes, paths[mistakes[0].clip], explained, duration_s) for mistakes in by_clip]
    ends = np.cumsum([card.num_bytes for card in cards])
    fitting = [card for card, end in zip(cards, ends, strict=True) if end <= MAX_BYTES]
    files.write_text(path, _page(study, fitting, duration_s, made_of))
    return path


def takes_long(study: Study) -> bool:
    """Return whether writing the page takes longer than starting a process for it, and another core is there."""
    if len(study.cells) <= FEW_CELLS or num_cores() == 1:
        return False
    return not _is_made_of(StudyFolder(study.folder).report / ERRORS_PAGE, _made_of(study, most_confident(study)))


def _is_made_of(path: Path, made_of: str) -> bool:
    """Return whether the page exists, and everything that it depends on is as it was."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return made_of.encode() in file.read(4096)
    return False


def _made_of(study: Study, by_clip: Sequence[Sequence[Mistake]]) -> str:
    """Hash everything that the page depends on: the mistakes, the weights, and its style."""
    cells = sorted({mistake.cell for mistakes in by_clip for mistake in mistakes})
    weights = [StudyFolder(study.folder).cell(name).weights for name in cells]
    hashes = [files.digest(path.read_bytes()) if path.exists() else "" for path in weights]
    answers = [[str(mistake) for mistake in mistakes] for mistakes in by_clip]
    form = [_style(), *map(template, ("errors.html.j2", "sound.html.j2", "errors.js")), VERSION]
    names = [study.dataset.digest, study.config.name, list(study.presets), study.models, study.dataset.categories]
    return files.digest(json.dumps([names, answers, hashes, form]).encode())


def _card(study: Study, mistakes: Sequence[Mistake], path: Path, explained: Explained, duration_s: float) -> Card:
    """Return the card of one clip; raise a RefusedError if its recording cannot be read."""
    waveform = load_waveform(path, sample_rate_hz=PLAYED_HZ, duration_s=duration_s)
    pictures = {
        "wave": waveform_track(waveform),
        "spectrum": spectrogram_track(*mel_levels(waveform, PLAYED_HZ)),
        "axis": axis_track(duration_s),
    }
    explanations = {mistake.cell.model: explained.get((mistake.cell.model, mistake.clip)) for mistake in mistakes}
    colours = palette(tuple(study.presets))
    saliency = {model: saliency_tracks(one, duration_s, colours[model]) for model, one in explanations.items() if one}
    return Card(playable(waveform), pictures, mistakes, saliency)


def _bars(mistake: Mistake) -> list[int]:
    """Return the categories to show for a wrong answer: the most probable ones and the true one."""
    likeliest: list[int] = np.argsort(mistake.probabilities)[::-1][:NUM_BARS].tolist()
    return likeliest if mistake.truth in likeliest else [*likeliest, mistake.truth]


def _page(study: Study, cards: Sequence[Card], duration_s: float, made_of: str) -> str:
    script = template("errors.js")
    values = {
        "study": study,
        "cards": cards,
        "colours": palette(tuple(study.presets)),
        "bars": _bars,
        "most": MOST,
        "cut_s": f"{duration_s:g}" if duration_s < study.dataset.clip_s else "",
        "made_of": made_of,
        "style": Markup(_style()),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return page("errors.html.j2", values)


def _style() -> str:
    return "".join(map(template, ("report.css", "tracks.css", "errors.css")))


def playable(waveform: np.ndarray) -> str:
    """Return a waveform at `PLAYED_HZ`, shape (T,), as a data URL with an MP3.

    Raises:
        RefusedError: this libsndfile cannot write MP3; the one that comes with soundfile can.
    """
    file = io.BytesIO()
    try:
        soundfile.write(file, waveform, PLAYED_HZ, format="MP3", compression_level=COMPRESSION)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise RefusedError(
            f"libsndfile {soundfile.__libsndfile_version__} cannot write MP3; install 1.1 or later"
        ) from error
    return f"data:audio/mpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
