"""The files in a study's folder that describe it: study.yaml, the dataset and the results."""

import contextlib
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np

from auricle.config import Preset, StudyConfig
from auricle.config.reading import MAX_RECORD_BYTES, dump_yaml, load_record
from auricle.data.cache import Recordings
from auricle.data.judgements import find_judgements, read_judgements
from auricle.data.manifest import Clip, Manifest
from auricle.errors import RefusedError, UsageError, count
from auricle.files import is_whole, mark, read_summed, write_bytes, write_summed
from auricle.runs.folder import Cell, StudyFolder, read_metrics

Description = dict[str, Any]
RESULT_COLUMNS = (
    "model", "protocol", "fold", "seed", "test_accuracy", "test_window_accuracy", "test_loss", "test_macro_precision",
    "test_macro_recall", "test_macro_f1", "test_macro_auc", "test_calibration_error", "validation_accuracy",
    "validation_loss", "parameters", "trainable_parameters", "multiply_adds", "epochs", "seconds", "leaky",
)  # fmt: skip


def read_description(folder: StudyFolder) -> Description | None:
    """Read study.yaml, if there is one.

    Raises:
        RefusedError: the file is damaged.
    """
    if not folder.description.exists():
        return None
    try:
        content = load_record(folder.description)
        StudyConfig.model_validate(content["study"])
        content["models"], content["dataset"]["digests"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise RefusedError(f"{folder.description} is damaged ({reason}); choose another --out") from error
    return content


def write_description(folder: StudyFolder, description: Description) -> None:
    """Write study.yaml, or raise a RefusedError if it would be too long to be read back."""
    content = dump_yaml(description).encode()
    if len(content) > MAX_RECORD_BYTES:
        raise RefusedError(
            f"{folder.description} would be longer than {MAX_RECORD_BYTES:,} bytes; if it lists many skipped "
            "recordings, remove them from the dataset"
        )
    write_bytes(folder.description, mark(content), content)


def check_case(name: str, others: Iterable[str]) -> None:
    """Raise a UsageError if the name of a model differs from another only in case: many disks give both one folder."""
    if alike := [other for other in others if other != name and other.casefold() == name.casefold()]:
        raise UsageError(f"models {alike[0]!r} and {name!r} differ only in case; give each a name of its own")


def check_same(old: Description, models: Mapping[str, Preset], digests: Mapping[int, str], out: Path) -> None:
    """Refuse to mix cells of different configurations or recordings in one study.

    Models, protocols and seeds may be added; models that are already there must not change.

    Raises:
        UsageError: a model is configured differently; the message names the first field. Or the name of a new model
            differs only in case from another.
        RefusedError: the recordings differ.
    """
    for name in models:
        check_case(name, old["models"])
    for name in (name for name in models if name in old["models"]):
        was, now = dict(old["models"][name]), models[name].model_dump(mode="json", exclude={"about"})
        with contextlib.suppress(ValueError):  # fields added to auricle since then get their defaults
            was = Preset.model_validate(was).model_dump(mode="json")
        was.pop("about", None)  # text, which changes no number
        if was != now:
            field, before, after = _first_difference(was, now)
            raise UsageError(f"{out} has {name} with {field} {before!r}, not {after!r}; choose another --out")
    check_digests(out, "study", old["dataset"], digests)


def check_digests(out: Path, kind: str, dataset: Mapping[str, Any], digests: Mapping[int, str]) -> None:
    """Raise a RefusedError if the recordings of what is in a folder differ at a sample rate that both have."""
    for rate_hz, now in digests.items():
        if (made := dataset["digests"].get(rate_hz, now)) != now:
            raise RefusedError(
                f"{out} contains a {kind} of other recordings ({dataset['source']}, digest {made[:12]}, now "
                f"{now[:12]}): files, labels or folds have changed; choose another --out"
            )


def check_clips(out: Path, kind: str, dataset: Mapping[str, Any], manifest: Manifest) -> None:
    """Raise a RefusedError if, of the same recordings, more or fewer can be decoded than when it was begun."""
    now, before = len(manifest.clips), dataset["num_clips"]
    if now != before:
        raise RefusedError(
            f"{out} contains a {kind} of {count(before, 'clip')}, but {now} of the same recordings can be decoded now; "
            f"install the packages that decoded them then, or run the {kind} again in another folder"
        )


def _first_difference(before: Any, after: Any, path: str = "") -> tuple[str, Any, Any]:
    """Return the dotted name of the first field that differs, and its two values."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in (*after, *before):
            if before.get(key) != after.get(key):
                return _first_difference(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    return path, before, after


def united(old: StudyConfig | None, new: StudyConfig) -> StudyConfig:
    """Return a study with the models, protocols and seeds of both, those of the older first.

    A model is limited to some protocols only if every study with that model limits it. References of the newer study
    replace those of the older, and so does where the recordings are, which are the same (`check_same`).
    """
    if old is None:
        return new
    merged = {
        field: tuple(dict.fromkeys((*getattr(old, field), *getattr(new, field))))
        for field in ("models", "protocols", "seeds")
    }
    free = {model for study in (old, new) for model in study.models if model not in study.only}
    only = {
        model: tuple(dict.fromkeys((*old.only.get(model, ()), *new.only.get(model, ()))))
        for model in merged["models"]
        if model not in free
    }
    allowed = old.allow_split_groups or new.allow_split_groups
    found = {field: getattr(new, field) for field in ("data", "group_by", "label", "clip_s")}
    cited = {"reference": new.reference or old.reference}
    return old.model_copy(update=merged | found | cited | {"only": only, "allow_split_groups": allowed})


def write_manifest(folder: StudyFolder, manifest: Manifest) -> None:
    """Write the table of clips: clip, category, fold, group."""
    rows = ((clip.name, clip.category, clip.fold, clip.group) for clip in manifest.clips)
    write_summed(folder.manifest, csv_bytes(("clip", "category", "fold", "group"), rows))


def read_clips(folder: StudyFolder) -> tuple[Clip, ...]:
    """Read the table of clips; it does not contain the paths of the recordings.

    Raises:
        OSError, ValueError, KeyError, RefusedError: the table is missing or damaged.
    """
    text = read_summed(folder.manifest).decode("utf-8", "surrogatepass")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return tuple(Clip(Path(row["clip"]), row["clip"], row["category"], int(row["fold"]), row["group"]) for row in rows)


def write_samples(folder: StudyFolder, recordings: Recordings) -> None:
    """Write one clip of each category for the report: the first by name, of the second fold if there is one."""
    manifest = recordings.manifest
    by_category = _samples_of(manifest)
    chosen = [by_category[category] for category in manifest.categories]
    waveforms = np.clip(recordings.waveforms[chosen], -1.0, 1.0)
    arrays = {
        "waveforms": np.round(waveforms * 32767).astype(np.int16),  # (K, T)
        "names": np.array([manifest.clips[index].name for index in chosen]),
        "categories": np.array(manifest.categories),
        "sample_rate_hz": np.array(recordings.sample_rate_hz),
    }
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_summed(folder.samples, content.getvalue())


def _samples_of(manifest: Manifest) -> dict[str, int]:
    """Return the index of a clip of each category."""
    clips, folds = manifest.clips, sorted({clip.fold for clip in manifest.clips})
    preferred = folds[min(1, len(folds) - 1)]  # the first fold is the test set, which nobody should look at
    found: dict[str, int] = {}
    for index in sorted(range(len(clips)), key=lambda index: (clips[index].fold != preferred, clips[index].name)):
        found.setdefault(clips[index].category, index)
    return found


def write_results(folder: StudyFolder) -> None:
    """Write results.csv from the files metrics.json: one row per finished cell, then one per baseline."""
    rows = [_result_row(cell) for cell in (*folder.cells(), *folder.baselines()) if cell.done]
    content = csv_bytes(RESULT_COLUMNS, ([row.get(name) for name in RESULT_COLUMNS] for row in rows))
    write_bytes(folder.results, content)


def _result_row(cell: Cell) -> dict[str, Any]:
    try:
        metrics = read_metrics(cell)
        sets = {name: metrics[name] or {"clip": {}, "window": {}} for name in ("test", "validation")}
    except (KeyError, TypeError) as error:
        raise RefusedError(f"{cell.metrics} is damaged; run the study again to train this cell again") from error
    row = metrics | asdict(cell.name)
    for set_name, scores in sets.items():
        row |= {f"{set_name}_{name}": value for name, value in scores["clip"].items()}
        row[f"{set_name}_window_accuracy"] = scores["window"].get("accuracy")
    return row


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as CSV; file names in it need not be UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def keep_human_labels(study: StudyFolder, *, source: str | None = None, root: Path | None = None) -> str | None:
    """Write dataset/human.csv, if the study's dataset is found and has classifications by human listeners.

    `source` and `root` are as for `reopen_cells`. Returns a message if they cannot be used; else None.

    Raises:
        RefusedError: study.yaml is damaged.
        MachineError: the disk refuses.
    """
    description = read_description(study)
    if is_whole(study.judgements, read_summed) or description is None or not study.manifest.exists():
        return None
    table = find_judgements(source or StudyConfig.model_validate(description["study"]).data, root)
    if table is None:
        return None
    try:
        found = read_judgements(table, {clip.name: clip.category for clip in read_clips(study)})
    except RefusedError as error:
        return f"classifications by human listeners are left out: {error}"
    if found:
        write_summed(study.judgements, csv_bytes(("clip", "heard_as", "count"), map(astuple, found)))
    return None
