"""Make the plan of a study: look up the presets, decode the recordings, list the cells, and describe it all."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from auricle.config import Preset, StudyConfig, load_preset
from auricle.data.cache import Recordings
from auricle.data.folds import Split
from auricle.data.manifest import Manifest, split_groups
from auricle.errors import UsageError, listing
from auricle.files import is_whole, read_sealed, read_summed, write_sealed
from auricle.model.half_frames import prepare_for
from auricle.runs import CellName, StudyFolder, commands_of
from auricle.runs import record as records
from auricle.runs.plan import planned_splits, with_splits
from auricle.runs.provenance import commit, machine, versions
from auricle.runs.record import Description
from auricle.study.listener import Listener


@dataclass(frozen=True)
class Plan:
    """A study with everything looked up.

    Attributes:
        config: the study; its models are names, even if a preset was given as a file.
        recordings: by sample rate in Hz, as the models need them; the same clips at each rate.
        cells: the cells in training order, each with its split.
    """

    config: StudyConfig
    presets: Mapping[str, Preset]
    recordings: Mapping[int, Recordings]
    splits: Sequence[Split]
    cells: Mapping[CellName, Split]

    @property
    def manifest(self) -> Manifest:
        """The clips, which are the same at each sample rate."""
        return next(iter(self.recordings.values())).manifest

    @property
    def digests(self) -> dict[int, str]:
        """Content hash of the recordings, by sample rate in Hz."""
        return {rate_hz: recordings.digest for rate_hz, recordings in self.recordings.items()}

    def recordings_of(self, model: str) -> Recordings:
        """Return the recordings at the sample rate of a model."""
        return self.recordings[self.presets[model].audio.sample_rate_hz]


def resolve_presets(config: StudyConfig) -> dict[str, Preset]:
    """Return the preset of each model of a study, with overrides applied; those of the encoder only if it has one.

    Raises:
        UsageError: no such preset or field, a value out of range, an override that fits no model, or two models with
            the same name, or with names that differ only in case.
    """
    encoders = [field for field in config.overrides if field.startswith("encoder.")]
    presets: dict[str, Preset] = {}
    for asked in config.models:
        has_encoder = load_preset(asked, beside=config.presets).encoder is not None
        overrides = {f: value for f, value in config.overrides.items() if has_encoder or f not in encoders}
        preset = load_preset(asked, overrides, beside=config.presets)
        if not re.fullmatch(r"[\w.+-]*\w[\w.+-]*", preset.name):
            raise UsageError(f"preset {asked}: a name consists of letters, digits, . + - and _, not {preset.name!r}")
        records.check_case(preset.name, presets)
        if preset.name in presets:
            raise UsageError(f"two models are named {preset.name!r}; give each a name of its own")
        presets[preset.name] = preset
    if encoders and not any(preset.encoder for preset in presets.values()):
        raise UsageError(f"no encoder in {listing(presets, 'or')}, so {encoders[0]} cannot be set; use a transformer")
    return presets


def prepare_all(
    presets: Collection[Preset], manifest: Manifest, *, skip_bad: bool, listener: Listener
) -> dict[int, Recordings]:
    """Decode the recordings once for each sample rate of the models; return them by rate in Hz."""
    options: dict[str, Any] = {"skip_bad": skip_bad, "on_progress": listener.decoding, "on_note": listener.note}
    rates_hz = dict.fromkeys(preset.audio.sample_rate_hz for preset in presets)
    return {rate_hz: prepare_for(presets, manifest, rate_hz, **options) for rate_hz in rates_hz}


def make_plan(
    config: StudyConfig,
    presets: Mapping[str, Preset],
    manifest: Manifest,
    *,
    folds: Collection[int] | None = None,
    skip_bad: bool = False,
    listener: Listener,
) -> Plan:
    """Decode the recordings, split them, and list the cells.

    Raises:
        RefusedError: recordings that cannot be read, or that the protocols cannot split.
        UsageError: a fold that no protocol of the study has, or protocols that none of its models is trained under.
    """
    recordings = prepare_all(presets.values(), manifest, skip_bad=skip_bad, listener=listener)
    readable = next(iter(recordings.values())).manifest
    splits = planned_splits(config, readable)
    known = {split.fold for split in splits}
    if unknown := [str(fold) for fold in folds or () if fold not in known]:
        valid = ", ".join(map(str, sorted(known)))
        raise UsageError(f"no fold {', '.join(unknown)} in {listing(config.protocols, 'or')}; available: {valid}")
    names = dict(zip(config.models, presets, strict=True))  # also of models given as a preset's file
    only = {names[model]: protocols for model, protocols in config.only.items() if model in names}
    named = config.model_copy(update={"models": tuple(presets), "only": only})
    all_cells = with_splits(named, presets, readable, splits)
    cells = {name: split for name, split in all_cells.items() if folds is None or name.fold in folds}
    if not cells:
        limits = "; ".join(f"{model}: {', '.join(named.only[model])}" for model in named.only)
        under = listing(config.protocols, "or")
        raise UsageError(f"no model of {config.name} is trained under {under}; available: {limits}")
    kept = {model: preset for model, preset in presets.items() if any(cell.model == model for cell in cells)}
    return Plan(named.model_copy(update={"models": tuple(kept)}), kept, recordings, splits, cells)


def write_record(
    study: StudyFolder, plan: Plan, *, changes: bool, device: str | None, command: str, cluster: str | None
) -> None:
    """Write the description of a study, after checking that it matches the study in the folder.

    Args:
        study: the folder.
        plan: the plan of the study.
        changes: whether cells will be trained or copied.
        device: None if nothing will be trained; then the recorded machine is kept.
        command: added after the earlier commands.
        cluster: a description of the cluster; None: this machine.

    Raises:
        UsageError: the folder contains another study, or a model cannot be built; nothing is written.
        RefusedError: the recordings are not those of the folder.
    """
    old = records.read_description(study)
    if old:
        records.check_same(old, plan.presets, plan.digests, study.folder)
        records.check_clips(study.folder, "study", old["dataset"], plan.manifest)
    from auricle.model.describe import describe

    num_classes, clip_s = len(plan.manifest.categories), plan.manifest.clip_s
    new = {name: preset for name, preset in plan.presets.items() if not is_whole(study.model(name), read_sealed)}
    layers = {name: describe(preset, num_classes, clip_s) for name, preset in new.items()}
    before = StudyConfig.model_validate(old["study"]) if old else None
    config = records.united(before, plan.config)
    if changes or config != before:
        records.write_description(study, _describe_study(plan, config, old, device, command, cluster))
    recordings = plan.recordings_of(plan.config.models[0])
    if not is_whole(study.manifest, read_summed):
        records.write_manifest(study, recordings.manifest)
    if not is_whole(study.samples, read_summed):
        records.write_samples(study, recordings)
    for name, content in layers.items():
        write_sealed(study.model(name), content)


def _describe_study(
    plan: Plan, config: StudyConfig, old: Description | None, device: str | None, command: str, cluster: str | None
) -> Description:
    """Return the content of study.yaml: the study merged with its earlier runs, its dataset, and the machine."""
    ran_on: Description = {"versions": versions(), "machine": machine(device or "cpu"), "commit": commit()}
    if cluster:
        ran_on["machine"] |= {"cluster": cluster}
    if old and device is None:
        ran_on = {name: old.get(name, now) for name, now in ran_on.items()}
    return {
        "study": config.model_dump(mode="json"),
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
