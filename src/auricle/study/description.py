"""What a study writes beside its cells before they are trained: what was asked, of which data, on which machine."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from auricle.config import StudyConfig
from auricle.data.manifest import split_groups
from auricle.files import write_json
from auricle.runs import StudyFolder, commands_of
from auricle.runs import record as records
from auricle.runs.provenance import commit, machine, versions
from auricle.runs.record import Description, united
from auricle.study.plan import Plan


def write_record(
    study: StudyFolder, plan: Plan, *, changes: bool, device: str | None, command: str, cluster: str | None
) -> None:
    """Write all that describes a study, having checked that it is the one that the folder holds.

    Args:
        study: its folder.
        plan: of the cells asked for.
        changes: whether cells are to be trained or taken over.
        device: None where nothing is trained, and the machine of before stays.
        command: comes after those of before.
        cluster: in words.

    Raises:
        UsageError: the folder holds another study, or a model does not build; nothing is written.
        RefusedError: the recordings are not those of the folder.
    """
    old = records.read_description(study)
    if old:
        records.check_same(old, plan.presets, plan.digests, study.folder)
    from auricle.model.describe import describe

    num_classes, clip_s = len(plan.manifest.categories), plan.manifest.clip_s
    new = {name: preset for name, preset in plan.presets.items() if not study.model(name).exists()}
    layers = {name: describe(preset, num_classes, clip_s) for name, preset in new.items()}
    if changes or not old or records.asks_for_more(old, plan.config):
        records.write_description(study, _describe_study(plan, old, device, command, cluster))
    recordings = plan.recordings_of(plan.config.models[0])
    if not study.manifest.exists():
        records.write_manifest(study, recordings.manifest)
    if not study.samples.exists():
        records.write_samples(study, recordings)
    for name, content in layers.items():
        write_json(study.model(name), content)


def _describe_study(
    plan: Plan, old: Description | None, device: str | None, command: str, cluster: str | None
) -> Description:
    """Return what study.yaml says: the study with what it had before, its dataset, and what it runs on now."""
    before = StudyConfig.model_validate(old["study"]) if old else None
    ran_on: Description = {"versions": versions(), "machine": machine(device or "cpu"), "commit": commit()}
    if cluster:
        ran_on["machine"] |= {"cluster": cluster}
    if old and device is None:
        ran_on = {name: old.get(name, now) for name, now in ran_on.items()}
    return {
        "study": united(before, plan.config).model_dump(mode="json"),
        "models": (old["models"] if old else {})
        | {name: preset.model_dump(mode="json") for name, preset in plan.presets.items()},
        "dataset": _describe_dataset(plan, old),
        **ran_on,
        "commands": list(dict.fromkeys(filter(None, [*commands_of(old), command]))),
        "started": old["started"] if old else datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
    }


def _describe_dataset(plan: Plan, old: Description | None) -> Description:
    recordings = plan.recordings_of(plan.config.models[0])
    manifest = recordings.manifest
    leaky = {split.protocol for split in plan.splits if split.leaky}
    return {
        "source": manifest.source,
        "digest": recordings.digest,
        "digests": (old["dataset"]["digests"] if old else {}) | plan.digests,
        "num_clips": len(manifest.clips),
        "clip_s": manifest.clip_s,
        "sample_rate_hz": recordings.sample_rate_hz,
        "categories": list(manifest.categories),
        "counts": dict(sorted(Counter(clip.category for clip in manifest.clips).items())),
        "folds": dict(sorted(Counter(clip.fold for clip in manifest.clips).items())),
        "notes": list(manifest.notes),
        "skipped": [list(pair) for pair in manifest.skipped],
        "grouping": manifest.grouping,
        "num_groups": len(set(manifest.groups)),
        "split_groups": len(split_groups(manifest)),
        "leaky_protocols": sorted(leaky.union(old["dataset"]["leaky_protocols"] if old else ())),
    }
