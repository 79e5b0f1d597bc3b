"""The closing chapters: listening to mistakes, assumptions, resources, reproduction, and missing results."""

from auricle.findings.study import Study
from auricle.report.document import Chapter, Report
from auricle.report.table import Table, columns
from auricle.report.wording import decimal, shortened
from auricle.runs import StudyFolder

OPTIMISERS = {"adam": ("adam",), "adamw": ("adamw", "muon"), "muon": ("muon",)}
OF_ESC = ("esc10", "esc50")  # the second holds the clips of the first
ERRORS_PAGE = "errors.html"  # beside the report, where the recordings were there


def listening(report: Report) -> Chapter | None:
    """Return where to listen to the mistakes, or how to get that page; None where there are none."""
    study = report.study
    if all((cell.clips.answers == cell.clips.labels).all() for cell in study.cells):
        return None
    report.await_errors_page()
    there = (StudyFolder(study.folder).report / ERRORS_PAGE).exists()
    return Chapter({"page": ERRORS_PAGE, "there": there})


def assumptions(report: Report) -> Chapter:
    """Return the assumptions behind the numbers."""
    study = report.study
    leaky, chosen_here = any(map(study.is_leaky, study.protocols)), study.dataset.source in OF_ESC
    return Chapter({"study": study, "leaky": leaky, "chosen_here": chosen_here})


def resources(report: Report) -> Chapter:
    """Return the resources used (machine, time, memory) and the software versions."""
    versions = [(name, str(version)) for name, version in report.study.versions.items()]
    return Chapter({"versions": versions}, {
        "table-resources": Table(columns("resources"), {"": list(_resources(report.study).items())}),
        "table-versions": Table(columns("versions"), {"": versions}),
    })  # fmt: skip


def _resources(study: Study) -> dict[str, str]:
    machine = study.machine
    trained = [cell for cell in study.cells if "same_as" not in cell.costs]
    found = {
        "Processor": str(machine.get("processor") or "unknown"),
        "Cores": str(machine.get("cores") or "unknown"),
        "Memory": f"{machine['memory_gb']:g} GB" if machine.get("memory_gb") else "unknown",
        "System": str(machine.get("system") or "unknown"),
        "Training device": str(machine.get("device") or "unknown"),
    }
    if machine.get("cluster"):
        found["Cluster"] = f"{machine['cluster']}, including this machine"
    found |= {"Cells": f"{len(study.cells):,}", "Trainings": f"{len(trained):,}"}
    minutes = sum(cell.costs["seconds"] for cell in trained) / 60
    found["Total training time"] = f"{decimal(minutes, 1)} minutes"
    if processor_s := sum(cell.costs.get("cpu_seconds") or 0 for cell in trained):
        found["CPU time"] = f"{decimal(processor_s / 60, 1)} minutes"
    if peak_mb := max(cell.costs.get("peak_memory_mb") or 0 for cell in study.cells):
        found["Peak memory of a process"] = f"{decimal(peak_mb / 1000, 2)} GB"
    return found


def reproduce(report: Report) -> Chapter:
    """Return how to reproduce the study and this report."""
    return Chapter({"study": report.study})


def references(report: Report) -> Chapter:
    """Return the literature of what the study used."""
    presets = [report.study.presets[model] for model in report.study.models]
    used = {
        "esc50": report.study.dataset.source in OF_ESC,
        "urbansound8k": report.study.dataset.source == "urbansound8k",
        "batch": any(block.norm == "batch" for preset in presets for block in preset.base.blocks),
        "residual": any(block.residual for preset in presets for block in preset.base.blocks),
        "encoder": any(preset.encoder for preset in presets),
        "pre": any(preset.encoder and preset.encoder.norm == "pre" for preset in presets),
        "gelu": any(preset.encoder and preset.encoder.activation == "gelu" for preset in presets),
        "dropout": any(preset.head.dropout for preset in presets),
        "mix": any(preset.augmentation.mix for preset in presets),
        "masks": any(preset.augmentation.time_mask_s or preset.augmentation.band_mask for preset in presets),
        "smoothing": any(preset.training.label_smoothing for preset in presets),
        "cosine": any(preset.training.schedule == "cosine" for preset in presets),
        "average": any(preset.training.weight_average for preset in presets),
        **{name: any(preset.training.optimizer in names for preset in presets) for name, names in OPTIMISERS.items()},
        "search": bool(report.findings.tuning),
    }
    return Chapter({"used": used})


def missing(report: Report) -> Chapter | None:
    """Return the list of planned cells without results; None where none is missing."""
    cells = report.study.missing
    rows = [(str(cell.name), report.title_of(cell.name.protocol), shortened(cell.reason, 200)) for cell in cells]
    return Chapter({"num": len(rows)}, {"table-missing": Table(columns("missing"), {"": rows})}) if rows else None
