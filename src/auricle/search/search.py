"""Run a search in its folder: trials on validation folds, then a study that trains the best set and tests it once.

OUT/search/search.yaml    the configuration and the data
OUT/search/journal.log    the trials in Optuna's format (unless another storage is given)
OUT/search/trials.json    the trials for people and the report, written after every trial
OUT/search/cells/trial-N/PROTOCOL-FOLD-SEED/
OUT/                      the study of the best set: study.yaml, cells/, report/
"""

import contextlib
import hashlib
import json
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from auricle import files, runs
from auricle.config import StudyConfig
from auricle.config.reading import dump_yaml, load_record
from auricle.data.cache import Recordings, keeps_frames
from auricle.data.datasets import asked_manifest
from auricle.data.manifest import Manifest
from auricle.errors import AuricleError, RefusedError, UsageError
from auricle.model.half_frames import OF_FRAMES
from auricle.runs import CellName, StudyFolder
from auricle.runs.record import check_clips, check_digests
from auricle.search.record import FILE, Entry, best_of, describe_parameters
from auricle.search.source import SearchClips, TrialSource, validation_splits, without_test
from auricle.search.space import MODEL, Space, SpaceConfig, check_space
from auricle.search.storage import TrialStorage
from auricle.search.trials import Begun, Trials
from auricle.study.listener import Listener
from auricle.study.plan import prepare_all
from auricle.study.study import check_folder
from auricle.work.jobs import Fit, Job, real_fit, run_jobs
from auricle.work.options import RunOptions, divide, find_device
from auricle.work.workers import Workers


@dataclass(frozen=True)
class SearchResult:
    """How a search ended: its trials, the best one, the importance of each parameter, and the study of the best set."""

    folder: Path
    entries: tuple[Entry, ...]
    best: Entry
    importance: Mapping[str, float]
    study: StudyConfig


def run_search(
    config: SpaceConfig,
    out: Path,
    options: RunOptions | None = None,
    *,
    storage: str | None = None,
    listener: Listener | None = None,
    fit: Fit | None = None,
) -> SearchResult:
    """Run trials on the validation folds until every trial has ended. The test fold is not loaded.

    A search in an existing folder resumes, and may get more trials; `options` must not have a cluster. The storage is
    an Optuna URL, or the path of a journal, that several machines share; None: a journal in the folder. `fit` is by
    default `training.fit.fit_cell`.

    Raises:
        UsageError: a name, a field or a value is wrong, or the folder contains something else.
        RefusedError: the recordings are refused, or are not those of the folder.
        MachineError: the folder is in use, or the disk or the storage refuses.
        AuricleError: no trial was completed.
    """
    listener, options = listener or Listener(), options or RunOptions()
    options.check()
    if options.ray:
        raise UsageError("a search trains on this machine only; remove --ray")
    space = check_space(config)
    listener.doing("reading the recordings")
    manifest = asked_manifest(config, root=options.root)
    listener.assumed(manifest.notes)
    clips = without_test(manifest, config.protocol)
    check_folder(out)
    folder = out / "search"
    with runs.lock(folder):
        presets = space.presets.values()
        _check_frames(space, clips.manifest, {preset.audio.sample_rate_hz for preset in presets})
        recordings = prepare_all(presets, clips.manifest, skip_bad=options.skip_bad, listener=listener)
        clips = replace(clips, manifest=next(iter(recordings.values())).manifest)  # those that can be read
        digests = {rate_hz: each.digest for rate_hz, each in sorted(recordings.items())}
        name = _unique_name(space, digests)
        _write_description(folder, space, name, clips.manifest, digests, options.command)
        kept_in = TrialStorage(storage or str(folder / "journal.log"), name)
        owner = f"{socket.gethostname()}:{folder.resolve()}"
        record = _Record(folder, space, clips, Trials(space, kept_in, owner, shared=storage is not None))
        record.write()
        if record.trials.over():
            listener.searching(record.trials.entries(), space.num_trials, 0)
        else:
            _run_trials(record, recordings, options, listener, fit or real_fit())
        return record.result(out)


def _check_frames(space: Space, manifest: Manifest, rates_hz: Collection[int]) -> None:
    """Raise a UsageError if only the presets' frames are stored, as of large data, and others would be tried."""
    if any(keeps_frames(len(manifest.clips), manifest.clip_s, rate_hz) for rate_hz in rates_hz):
        kinds, windows = (space.grid.get(name, ()) for name in ("frontend.kind", "training.windows"))
        refused = {"frontend.kind": "raw" in kinds, "training.windows": "grid" in windows}
        refused |= {f"frontend.{field}": True for field in OF_FRAMES}
        if name := next((name for name in space.parameters if refused.get(name)), None):
            reason = f"{name} cannot be searched in {len(manifest.clips):,} clips, whose frames are stored"
            raise UsageError(f"space {space.config.name}: {reason}; list `models` that differ in it")


@dataclass(frozen=True)
class _Record:
    """The record of a search, written after every trial, and its result."""

    folder: Path
    space: Space
    clips: SearchClips
    trials: Trials

    def write(self, importance: Mapping[str, float] | None = None) -> None:
        space, clips = self.space, self.clips
        record = {
            **space.config.model_dump(include={"name", "about", "protocol", "sampler", "pruner"}),
            "folds": list(clips.folds),
            "num_clips": len(clips.manifest.clips),
            "num_unheard": clips.num_left_out,
            "num_trials": space.num_trials,
            "epochs": {name: preset.training.epochs for name, preset in space.presets.items()},
            "overrides": space.config.overrides,
            "parameters": describe_parameters(space),
            "importance": dict(importance or {}),
            "trials": self.trials.entries(),
        }
        files.write_sealed(self.folder / FILE, record)

    def result(self, out: Path) -> SearchResult:
        entries, importance = self.trials.entries(), self.trials.importance()
        self.write(importance)
        best = best_of(entries)
        if best is None:
            causes = dict.fromkeys(entry["cause"] for entry in entries if entry["cause"])
            why = "; ".join(causes) or "unknown cause"
            raise AuricleError(f"none of the trials ({len(entries)}) was completed: {why}")
        return SearchResult(out, tuple(entries), best, importance, _best_study(self.space, best))


def _run_trials(
    record: _Record, recordings: Mapping[int, Recordings], options: RunOptions, listener: Listener, fit: Fit
) -> None:
    """Train until every trial has ended; if this is interrupted, trials in training are queued again."""
    space, trials, cells = record.space, record.trials, StudyFolder(record.folder)
    device = find_device(options.device)
    num_workers, threads = divide(options.workers, device, options.threads, space.num_trials)
    splits = {
        rate_hz: validation_splits(each.manifest, space.config.protocol, record.clips.folds)
        for rate_hz, each in recordings.items()
    }

    def make_jobs(begun: Begun) -> list[Job]:
        preset = space.preset(begun.values)
        rate_hz = preset.audio.sample_rate_hz
        jobs = []
        for split in splits[rate_hz]:
            name = CellName(f"trial-{begun.folder}", split.protocol, split.fold, space.config.seed)
            jobs.append(Job(cells.cell(name), preset, split, recordings[rate_hz], device, threads))
        return jobs

    listener.searching(trials.entries(), space.num_trials, num_workers)
    source = TrialSource(trials, make_jobs, fit, listener, on_change=record.write)
    try:
        run_jobs(source, Workers(num_workers, record.folder / "workers.log"), listener)
    except BaseException:
        with contextlib.suppress(AuricleError):  # if this cannot be written, the next run finds it out
            trials.stop()
            record.write()
        raise


def _best_study(space: Space, best: Entry) -> StudyConfig:
    """Return the study of the best set, which is trained again and tested on the fold that no trial used."""
    start = str(best["values"].get(MODEL, next(iter(space.presets))))
    name = f"{start}-trial-{best['number']}"
    about = f"{start} with the best of {space.num_trials} sets of values tried by the search {space.config.name}"
    preset = space.preset(best["values"]).model_dump(mode="json") | {"name": name, "about": about}
    return StudyConfig(
        **space.config.model_dump(include={"name", "about", "data", "group_by", "label", "clip_s"}),
        models=(name,),
        protocols=(space.config.protocol,),
        seeds=(space.config.seed,),
        presets={name: preset},
    )


def _unique_name(space: Space, digests: Mapping[int, str]) -> str:
    """Return a name that is the same for the same search on the same recordings, on any machine, and unique to it."""
    presets = {name: preset.model_dump(mode="json", exclude={"about"}) for name, preset in space.presets.items()}
    config = space.config
    content = [presets, describe_parameters(space), config.protocol, config.sampler, config.seed, digests]
    return f"{config.name}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]}"


def _write_description(
    folder: Path, space: Space, name: str, manifest: Manifest, digests: Mapping[int, str], command: str
) -> None:
    """Write search.yaml, after checking that the folder contains no other search."""
    path = folder / "search.yaml"
    if path.exists():
        try:
            before = load_record(path)
            old, made, started = before["name"], {"digests": {}, **before["dataset"]}, before["started"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RefusedError(f"{path} is damaged; choose another --out") from error
        check_digests(folder.parent, "search", made, digests)
        if old != name:
            what = "a search with another space, preset or setting"
            raise UsageError(f"{folder.parent} contains {what}; choose another --out")
        if "num_clips" in made:  # not of earlier versions
            check_clips(folder.parent, "search", made, manifest)
    else:
        started = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    description = {
        "name": name,
        "space": space.config.model_dump(mode="json"),
        "dataset": {"source": manifest.source, "digests": dict(digests), "num_clips": len(manifest.clips)},
        "command": command,
        "started": started,
    }
    files.write_text(path, dump_yaml(description))
