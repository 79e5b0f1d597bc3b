"""Assumptions, resources, versions, how to make it again, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from auricle.report.chapter_summary import stamped
from auricle.report.document import Block, Bullets, Command, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.table import Column, Table, Value
from auricle.report.wording import Code, Ref, Text, count, decimal, shortened

_FACTS = (Column("what", "What"), Column("value", "Value", grows=True))


def assumptions_chapter(study: Study) -> Section:
    """Return what the numbers take for granted."""
    taken: list[Text] = [
        ("A clip has exactly one right class, the one it is labelled with; no label was changed.",),
        (
            "Every test clip counts the same, and the test clips stand for the recordings that the model will meet. "
            "Intervals speak of other clips drawn like these, not of other places, microphones or classes.",
        ),
        ("The configurations were not chosen by their scores on these test clips.",),
    ]
    if len({row.name.model for row in study.cells}) > 1:
        taken.append(
            ("The best of several models on one test set is a little flattered by having been picked on that set.",)
        )
    if any(study.is_leaky(protocol) for protocol in study.protocols):
        taken.append(("Leaky protocols are here to compare with results that were made in the same way.",))
    if len(study.config.seeds) == 1:
        taken.append((f"One seed ({study.config.seeds[0]}) was used; the spread over seeds is not measured.",))
    return Section("assumptions", "Assumptions", (Bullets(tuple(taken)),))


def resources_chapter(study: Study) -> Section:
    """Return what it took: machine, minutes, memory; and what it was made with."""
    table = Table("table-resources", ("The machine, and what the cells took.",), _FACTS, {"": _resources(study)})
    versions = [(name, str(version)) for name, version in study.versions.items()]
    blocks: list[Block] = [Paragraph((Ref("table-resources"), " says on what this was computed.")), table]
    if versions:
        columns = (Column("package", "Package", "code"), Column("version", "Version", "code"))
        blocks.append(Table("table-versions", ("Versions of the software.",), columns, {"": versions}))
    return Section("resources", "Resources and versions", tuple(blocks))


def _resources(study: Study) -> list[tuple[Value, ...]]:
    machine = study.machine
    trained = [cell for cell in study.cells if "same_as" not in cell.costs]
    seconds = sum(cell.costs["seconds"] for cell in trained)
    rows: list[tuple[Value, ...]] = [
        ("Processor", str(machine.get("processor") or "unknown")),
        ("Cores", str(machine.get("cores") or "unknown")),
        ("Memory", f"{machine['memory_gb']:g} GB" if machine.get("memory_gb") else "unknown"),
        ("System", str(machine.get("system") or "unknown")),
        ("Device of training", str(machine.get("device") or "unknown")),
        *((("Cluster", f"{machine['cluster']}, of which this machine is one"),) if machine.get("cluster") else ()),
        ("Cells", f"{len(study.cells):,}"),
        ("Trainings", f"{len(trained):,}"),
        ("Time of all trainings", f"{decimal(seconds / 60, 1)} minutes, added up"),
    ]
    processor_s = sum(cell.costs.get("cpu_seconds") or 0 for cell in trained)
    if processor_s:
        rows.append(("Processor time", f"{decimal(processor_s / 60, 1)} minutes"))
    if peaks := [cell.costs["peak_memory_mb"] for cell in study.cells if cell.costs.get("peak_memory_mb")]:
        rows.append(("Most memory of one process", f"{decimal(max(peaks) / 1000, 2)} GB"))
    return rows


def reproduce_chapter(study: Study) -> Section:
    """Return how to make the study and this report again."""
    source = f"commit {study.commit}" if study.commit else "the installed package"
    facts = (
        f"auricle {study.versions.get('auricle', '')}, {source}; seeds {', '.join(map(str, study.config.seeds))}; "
        f"started {study.started[:10] or 'at an unknown date'}. The recordings have the digest ",
        Code(study.dataset.digest[:16]),
        ": other files, labels or folds give another one, and other numbers.",
    )
    blocks: list[Block] = [Paragraph(facts)]
    if study.commands:
        blocks += [Paragraph(("The study is made again by",)), *map(Command, study.commands)]
    words = (
        "On the CPU, two runs on one kind of processor give the same predictions to the byte; another kind, or a GPU, "
        "rounds differently. Every score here is computed from the predictions.csv of the cells, and each table "
        "lies beside this report as CSV.",
    )
    return Section("reproduce", "How to make it again", (*blocks, Paragraph(words)))


def missing_chapter(study: Study) -> Sequence[Section]:
    """Return the list of planned cells without results; nothing where none is missing."""
    if not study.missing:
        return ()
    columns = (
        Column("cell", "Cell", "code"),
        Column("protocol", "Protocol"),
        Column("reason", "Reason", grows=True),
    )
    rows = [(str(cell.name), stamped(study, cell.name.protocol), shortened(cell.reason, 200)) for cell in study.missing]
    words = f"{count(len(rows), 'planned cell')} have no results; running the study again makes them."
    table = Table("table-missing", ("Cells without results, and why.",), columns, {"": rows})
    return (Section("missing", "What is missing", (Paragraph((words,)), table)),)
