"""The closing chapters: listening to mistakes, assumptions, resources, reproduction, and missing results."""

from auricle.data.manifest import is_unequal
from auricle.findings.reference import comparable
from auricle.findings.study import Study
from auricle.report.document import Chapter, Report
from auricle.report.table import Table, columns
from auricle.report.wording import decimal, shortened
from auricle.runs import StudyFolder

OPTIMISERS = {"adam": ("adam",), "adamw": ("adamw", "muon"), "muon": ("muon",), "sgd": ("sgd",)}
SPECIFIED_S = 2  # the longest windows that the course specification proposes
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
    presets = ((model, report.study.presets[model]) for model in report.study.models)
    inputs_s = {model: preset.frontend.stack_s or preset.audio.window_s for model, preset in presets}
    return Chapter(report.phrases | {"longer": [model for model, input_s in inputs_s.items() if input_s > SPECIFIED_S]})


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
        "Training device": study.device,
    }
    if machine.get("cluster"):
        found["Cluster"] = f"{machine['cluster']}, including this machine"
    found |= {"Cells": f"{len(study.cells):,}", "Trainings": f"{len(trained):,}"}
    minutes = sum(cell.costs["seconds"] for cell in trained) / 60
    found["Time of all trainings, added up"] = f"{decimal(minutes, 1)} minutes"
    if processor_s := sum(cell.costs.get("cpu_seconds") or 0 for cell in trained):
        found["CPU time of all trainings"] = f"{decimal(processor_s / 60, 1)} minutes"
    if peak_mb := max(cell.costs.get("peak_memory_mb") or 0 for cell in study.cells):
        found["Peak memory of a process"] = f"{decimal(peak_mb / 1000, 2)} GB"
    return found


def reproduce(report: Report) -> Chapter:
    """Return how to reproduce the study and this report."""
    return Chapter({"study": report.study})


def references(report: Report) -> Chapter:
    """Return the literature of what the study used, and the published results that it cites."""
    used = _used(report) | {
        "esc50": report.chosen_here,
        "urbansound8k": report.study.dataset.source == "urbansound8k",
        "holm": any(comparison.pairs for comparison in report.findings.comparisons.values()),
        "importance": any(found.importance for found in report.findings.tuning),
        "tpe": any(found.sampler == "tpe" for found in report.findings.tuning),
    }
    return Chapter({"used": used, "cited": list(comparable(report.study))})


def implementation(report: Report) -> Chapter:
    """Return the details that the tables of settings and layers leave open."""
    sizes = [sum(by_fold.values()) for by_fold in report.study.dataset.counts.values()]
    return Chapter({"used": _used(report) | {"unequal": is_unequal(sizes)}})


def _used(report: Report) -> dict[str, bool]:
    """Return what any model of the study uses."""
    presets = [report.study.presets[model] for model in report.study.models]
    blocks = [block for preset in presets for block in preset.base.blocks]
    encoders = [preset.encoder for preset in presets if preset.encoder]
    frontends, changes, recipes = zip(*((one.frontend, one.augmentation, one.training) for one in presets), strict=True)
    return {
        "spectrum": any(one.kind != "raw" for one in frontends),
        "raw": any(one.kind == "raw" for one in frontends),
        "mfcc": any(one.kind == "mfcc" for one in frontends),
        "normalised": any(one.normalise for one in frontends),
        "batch": any(block.norm == "batch" for block in blocks),
        "residual": any(block.residual for block in blocks),
        "encoder": bool(encoders),
        "pre": any(one.norm == "pre" for one in encoders),
        "gelu": any(one.activation == "gelu" for one in encoders),
        "sinusoids": any(one.positions == "sinusoidal" for one in encoders),
        "dropout": any(preset.head.dropout for preset in presets),
        "augmented": any(one.shift or one.mix or one.gain_db or one.filter_db or one.stretch for one in changes),
        "stretch": any(one.stretch for one in changes),
        "mix": any(one.mix for one in changes),
        "masks": any(one.time_mask_s or one.band_mask for one in changes),
        "grid": any(one.windows == "grid" for one in recipes),
        "drawn": any(one.balance == "sampling" for one in recipes),
        "base_first": bool(report.phrases["base_first"]),
        "smoothing": any(one.label_smoothing for one in recipes),
        "cosine": any(one.schedule == "cosine" for one in recipes),
        "average": any(one.weight_average for one in recipes),
        **{name: any(one.optimizer in names for one in recipes) for name, names in OPTIMISERS.items()},
    }


def missing(report: Report) -> Chapter | None:
    """Return the list of planned cells without results; None where none is missing."""
    cells = report.study.missing
    rows = [(str(cell.name), report.title_of(cell.name.protocol), shortened(cell.reason, 200)) for cell in cells]
    return Chapter({"num": len(rows)}, {"table-missing": Table(columns("missing"), {"": rows})}) if rows else None
