"""How it was done: who trains, validates and tests, and what becomes of a recording."""

from __future__ import annotations

from collections.abc import Sequence

from auricle.report.document import Block, Bullets, Paragraph, Section
from auricle.report.evidence import Study
from auricle.report.wording import Strong, count, listing


def methods_chapter(study: Study) -> Section:
    """Return the chapter on protocols and preprocessing."""
    protocols = tuple((Strong(name), f": {_protocol_in_words(study, name)}") for name in study.protocols)
    head = "What is tested shares no group with what was trained on, unless a protocol is called leaky."
    sections = (
        Section("protocols", "Training, validation and test", (Paragraph((head,)), Bullets(protocols))),
        Section("preprocessing", "From recording to features", tuple(_preprocessing(study))),
    )
    return Section("methods", "Method", (), sections)


def _protocol_in_words(study: Study, protocol: str) -> str:
    first, *others = study.dataset.folds
    if protocol == "test-split":
        training = _folds(others[1:])
        return f"fold {first} is the test set, fold {others[0]} the validation set, {training} train; one cell a seed."
    if protocol == "k-fold":
        again = f" The cell that validates on fold {others[0]} is that of test-split." * (
            "test-split" in study.protocols
        )
        return (
            f"fold {first} is the test set of every cell; each of {_folds(others)} is the validation set once "
            "while the others train, model and optimiser fresh each time. All cells are tested on the same clips, "
            f"so their spread says how much training varies, not how much clips do.{again}"
        )
    if protocol == "official":
        return (
            f"each of the {len(study.dataset.folds)} folds is the test set once while all others train; there is no "
            "validation set."
        )
    leak = "clips of one group stand on both sides: leaky" if study.is_leaky(protocol) else "no group is split"
    return f"all clips are dealt into four stratified parts, each the test set once; {leak}."


def _folds(folds: Sequence[int]) -> str:
    return f"fold{'s' * (len(folds) > 1)} {listing(map(str, folds))}"


def _preprocessing(study: Study) -> list[Block]:
    """Say what happens to a recording; once for all models that hear the same."""
    alike: dict[str, list[str]] = {}
    for model in study.models:
        alike.setdefault(_preprocessing_in_words(study, model), []).append(model)
    if len(alike) == 1:
        return [Paragraph((next(iter(alike)),))]
    return [Bullets(tuple((Strong(", ".join(models)), f": {words}") for words, models in alike.items()))]


def _preprocessing_in_words(study: Study, model: str) -> str:
    audio, clip_s = study.presets[model].audio, study.dataset.clip_s
    test = next(cell.test for cell in study.cells if cell.name.model == model)
    windows = count(round(test["window"]["num"] / test["clip"]["num"]), "window")
    return (
        f"Each recording is mixed to one channel, resampled to {audio.sample_rate_hz / 1000:g} kHz and cut or padded "
        f"with silence to {clip_s:g} s, which is {round(clip_s * audio.sample_rate_hz):,} samples. "
        f"{_features_in_words(study, model)} It sees {audio.window_s:g} s at once: in training windows at random "
        f"places; to score a clip {windows}, starting every {audio.window_hop_s:g} s, and the probabilities of the "
        "clip are the mean of theirs."
    )


def _features_in_words(study: Study, model: str) -> str:
    audio, frontend = study.presets[model].audio, study.presets[model].frontend
    scaled = "scaled by mean and spread over the training clips"
    if frontend.kind == "raw":
        return f"The network sees the waveform, {scaled}."
    top_hz = frontend.max_hz or audio.sample_rate_hz / 2
    seen = f"their logarithm, {scaled}"
    if frontend.kind == "mfcc":
        seen = f"{frontend.num_coefficients} cepstral coefficients of {seen}"
    return (
        f"Fourier transforms of {frontend.transform_ms:g} ms, {frontend.hop_ms:g} ms apart, become the power in "
        f"{frontend.num_bands} mel bands from {frontend.min_hz:g} Hz to {top_hz / 1000:g} kHz; the network sees {seen}."
    )
