"""Hand in a finished study: its report as NAME.pdf, and the whole study as one Python file, NAME.py."""

import os
import sys
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np

from auricle import __version__
from auricle.config import Preset, merge
from auricle.data.annotations import is_piece
from auricle.data.decoders import MEDIA_FORMATS
from auricle.data.folds import divide
from auricle.data.manifest import Clip, Manifest, is_unequal
from auricle.errors import AuricleError, MachineError, UsageError
from auricle.files import machine_errors, write_bytes, write_text
from auricle.findings.study import Study, load_study
from auricle.handin.assemble import Assembly, program
from auricle.handin.source_text import parse_module
from auricle.handin.study_text import COMMAND_LINE, configuration_text, literal, recordings_text
from auricle.report.wording import count, listing, visible
from auricle.runs import StudyFolder
from auricle.runs.provenance import commit
from auricle.runs.record import read_clips
from auricle.search.record import best_of, read_record

NOT_BALANCED = {"training": {"balance": "none"}}
NEEDS = "numpy, torch, soundfile, soxr, scikit-learn, matplotlib and pyyaml"


def check_name(name: Path) -> tuple[Path, Path]:
    """Return the paths NAME.pdf and NAME.py, neither of which exists yet, and create their folder.

    Raises:
        UsageError: there is no such name, one of the files exists, or Python could not import a module of that name.
        MachineError: the folder cannot be created or written to.
    """
    if not name.name or name.is_dir():
        raise UsageError(f"--hand-in takes a name for two new files, such as answer, not {str(name)!r}")
    stem = name.with_suffix("") if name.suffix in (".pdf", ".py") else name
    if stem.name in sys.stdlib_module_names or stem.name in packages_distributions():
        raise UsageError(f"a program {stem.name}.py would hide the module {stem.name} of Python; choose another name")
    paths = stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.py")
    for file in paths:
        if file.exists():
            raise UsageError(f"{file} exists already; delete it or choose another name")
    with machine_errors(paths[1]):
        stem.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(stem.parent, os.W_OK):
        raise MachineError(f"cannot write {paths[1]}: Permission denied")
    return paths


def write_hand_in(study_folder: Path, report_pdf: Path, name: Path) -> dict[str, Path]:
    """Write NAME.pdf and NAME.py; return their paths under "hand_in_pdf" and "hand_in_py".

    Raises:
        UsageError, MachineError: as `check_name`, or if the files cannot be written.
        RefusedError: no study.
    """
    pdf, file = check_name(name)
    text = program_text(load_study(study_folder), file.name)
    with machine_errors(report_pdf, "read"):
        content = report_pdf.read_bytes()
    write_bytes(pdf, content)
    try:
        write_text(file, text)
    except BaseException:  # Ctrl-C too: with one of the two files, the same command would be refused
        pdf.unlink()
        raise
    return {"hand_in_pdf": pdf, "hand_in_py": file}


def program_text(study: Study, file_name: str) -> str:
    """Return a study as one Python file that needs no auricle."""
    if not study.cells:
        raise AuricleError(
            f"no cell of {study.folder} is finished, so there is nothing to hand in; run the study first"
        )
    clips = read_clips(StudyFolder(study.folder))
    if any(is_piece(clip.name) for clip in clips):
        raise AuricleError(f"{study.folder}: its clips are cut from annotated recordings; a hand-in needs files")
    if not _is_balanced_anywhere(study, clips):  # so the code for balancing is left out
        presets = {name: merge(preset.model_dump(), NOT_BALANCED) for name, preset in study.presets.items()}
        study = replace(study, presets={name: Preset.model_validate(preset) for name, preset in presets.items()})
    configuration = parse_module("auricle.config", configuration_text(study))
    roots = [
        parse_module("auricle.data.this_study", recordings_text(study)),
        parse_module("auricle.handin.command_line", COMMAND_LINE),
    ]
    text = program(Assembly(roots, [*study.presets.values(), study.config], [configuration]), _doc(study, file_name))
    compile(text, file_name, "exec")
    return text


def _is_balanced_anywhere(study: Study, clips: tuple[Clip, ...]) -> bool:
    """Return whether a set of a split is so unequal that its training, or its learning curve, weights the classes."""
    manifest = Manifest(study.dataset.source, clips, study.dataset.clip_s)
    splits = [split for protocol in study.config.protocols for split in divide(manifest, protocol)]
    parts = [part for split in splits for part in (split.train, split.validation)]
    labels, num_classes = manifest.labels, len(manifest.categories)
    return any(is_unequal(np.bincount(labels[part], minlength=num_classes).tolist()) for part in parts)


def _doc(study: Study, file_name: str) -> str:
    """Return the docstring of the file."""
    models = listing(study.presets)
    device, processor = study.machine.get("device") or "cpu", study.machine.get("processor") or "an unknown processor"
    machine = processor if device == "cpu" else device
    seconds = sum(cell.costs["seconds"] for cell in study.cells if "same_as" not in cell.costs)
    here, then = (f" at commit {one}" if one else "" for one in (commit(), study.commit))
    time = "less than a minute" if seconds < 60 else count(round(seconds / 60), "minute")
    lines = [
        f"{visible(study.config.name)}: {count(len(study.presets), 'network')} on {visible(study.dataset.name)}, "
        "in one file.",
        "",
        f"Trains, scores and compares {models}",
        f"under {listing(study.config.protocols)}, from the recordings to tables and figures:",
        "",
        f"    python {visible(file_name)} --data DIR --out DIR [--models A,B] [--epochs N] [--wandb offline]",
        "",
        f"It needs Python 3.11 or later, {NEEDS} (--wandb: wandb).",
        f"An archive of a study made with auricle {__version__}{here}, from whose source it is assembled: hand it in",
        f"as that, and not as work of your own. The study took {time}",
        f"on {machine}; on the same kind of processor, with as many threads, it gives the same numbers.",
        *([f"(The study ran{then}; later changes of auricle may give other numbers.)"] if then != here else []),
        "Mean test accuracy of the study:",
        "",
        *_accuracies(study),
        *_best_set(study),
        *_to_convert(study),
    ]
    return literal("\n".join(lines))


def _best_set(study: Study) -> list[str]:
    """Return the values chosen by a search, if there was one before the study."""
    record = read_record(study.folder / "search")
    best = best_of(record["trials"]) if record else None
    if record is None or best is None:
        return []
    values = [f"    {visible(f'{name}={value}')}" for name, value in best["values"].items()]
    return ["", f"Best of {count(len(record['trials']), 'set')} of values that a search tried:", "", *values]


def _to_convert(study: Study) -> list[str]:
    """Return which recordings the program cannot decode, as it does not use FFmpeg."""
    names = [name for name in study.dataset.groups if Path(name).suffix.lower() in MEDIA_FORMATS]
    if not names:
        return []
    suffix, some = visible(Path(names[0]).suffix), count(len(names), "recording")
    return ["", f"It cannot read {suffix}: convert {some} to WAV with the same names, and move the originals away."]


def _accuracies(study: Study) -> list[str]:
    rows = []
    for protocol, model in dict.fromkeys((cell.name.protocol, cell.name.model) for cell in study.cells):
        accuracies = [cell.test["clip"]["accuracy"] for cell in study.of(model, protocol)]
        share, trainings = np.mean(accuracies), count(len(accuracies), "training")
        rows.append(f"    {protocol:12} {model:23} {share:7.2%}   of {trainings}")
    return rows
