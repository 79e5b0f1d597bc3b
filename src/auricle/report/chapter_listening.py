"""Where the mistakes can be heard."""

from __future__ import annotations

from collections.abc import Sequence

from auricle.report.document import Command, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.wording import Beside, Code, Text
from auricle.runs import StudyFolder

LISTENING_PAGE = "errors.html"


def listening_chapter(study: Study) -> Sequence[Section]:
    """Return where to hear what the models got wrong, or how to get that; nothing where all is right."""
    if all((cell.clips.answers == cell.clips.labels).all() for cell in study.cells):
        return ()
    name, title = "listening", "The mistakes, to be heard"
    if (StudyFolder(study.folder).report / LISTENING_PAGE).exists():
        words: Text = (
            "The page ",
            Beside(LISTENING_PAGE),
            " beside this report plays the test clips that each model got wrong while it was surest, with waveform, "
            "spectrogram and where the model looked. It works from disk, without a network.",
        )
        return (Section(name, title, (Paragraph(words),)),)
    words = (
        "The recordings were not found when this report was made. Where they are, this command also writes ",
        Code(f"report/{LISTENING_PAGE}"),
        ", a page that plays the mistakes of which each model was surest:",
    )
    return (Section(name, title, (Paragraph(words), Command("auricle report STUDY --data DIR"))),)
