"""Audit one file: decode it, measure it, and list its problems."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from auricle.audit.finding_types import FINDING_TYPES, Finding
from auricle.audit.fingerprint import MAX_S, Fingerprint, fingerprint
from auricle.audit.formats import FORMAT_SUFFIXES, describe_other_file
from auricle.audit.meter import Measures, Meter
from auricle.data.audio import SILENT_PEAK, open_recording, refusal_reason, stream_channels
from auricle.data.signatures import first_bytes, format_of
from auricle.data.wav import read_wav, wav_contradiction
from auricle.errors import RefusedError

MIN_OFFSET, MIN_OFFSET_SHARE = 0.005, 0.1  # relative to full scale; relative to the level
MIN_FLAT_SHARE, MIN_PLATEAU = 1e-4, 0.3
MIN_FULL_SHARE = 1e-3
OVER_SCALE = 1.5  # overshoots of lossy formats stay below this
ONE_CHANNEL_RATIO = 100.0  # 40 dB
CANCELLING_RATIO = 0.1
MIN_PADDING_S, MIN_PADDING_SHARE = 0.1, 0.1
MIN_DURATION_S = 0.1
USUAL_RATES_HZ = (
    *(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    *(64_000, 88_200, 96_000, 176_400, 192_000, 250_000, 256_000, 384_000),
)

# A pattern in the error message of data.audio, and the kind of finding it stands for.
_REFUSALS = (
    (r"no such file|invalid file name", "missing"),
    (r"a folder, not a file|a pipe or a device|cannot be opened|cannot be read", "no-file"),
    (r"empty \(0 bytes\)", "empty"),
    (r"contains no sound|shorter than one sample", "no-sound"),
    (r"are not finite", "not-finite"),
    (r"cut off", "truncated"),
    (r"split the file$", "joined"),
    (r"^damaged|crashed on it", "damaged"),
    (r"sample rate \d|channels; the limit|header (?:declares|says)", "forged-header"),
    (r"bytes; the limit|samples reach|takes longer|of memory|SIGKILL|more sound than", "over-limits"),
    (r"the file is damaged|[Ii]nternal", "damaged"),
)


@dataclass(frozen=True, eq=False)
class Examined:
    """What was found in a file."""

    format: str  # recognised from its bytes; "" where it is unknown
    problems: tuple[Finding, ...]  # in the order they were found
    rate_hz: int = 0  # 0 where the file cannot be decoded
    measures: Measures | None = None  # None where it cannot be decoded without error
    fingerprint: Fingerprint | None = None  # None in the same case, and where it is silent


def examine(path: Path) -> Examined:
    """Decode a file to its end and measure it; whatever is wrong becomes a finding, not an exception."""
    form, head = "", b""
    try:
        with open_recording(path) as file:
            start, head = first_bytes(file)
            form = format_of(head) or ""
            wav = read_wav(file, start) if form == "wav" else None
        found = _decoded(path, form)
    except RefusedError as error:
        return refused(path, error, form, head)
    problems = list(found.problems)
    if wav and (contradiction := wav_contradiction(wav.format)):
        problems.append(Finding("odd-header", contradiction[0]))
    if form and path.suffix.lower() not in FORMAT_SUFFIXES[form]:
        name = f"{path.stem}{FORMAT_SUFFIXES[form][0]}"
        problems.append(Finding("wrong-suffix", f"it is {form.upper()}; rename it to {name}"))
    if errors := tuple(problem for problem in problems if FINDING_TYPES[problem.kind].severity == "error"):
        return replace(found, measures=None, fingerprint=None, problems=errors)
    return replace(found, problems=tuple(problems))


def refused(path: Path, error: RefusedError, form: str = "", head: bytes = b"") -> Examined:
    """Return what is known about a file that could not be decoded, or whose decoding crashed.

    `form` is the format of its bytes, "" where it is unknown; `head` its first bytes, if it could be opened.
    """
    reason = refusal_reason(path, error)
    kind = _kind_of(reason)
    if kind in ("damaged", "undecodable") and head and not form:
        kind, reason = "not-audio", describe_other_file(head)
    elif kind == "undecodable" and form == "flac":  # a decoder supports all of FLAC, so the file is at fault
        kind, reason = "damaged", f"damaged or cut off: {reason}"
    return Examined(form, (Finding(kind, reason),))


def _kind_of(reason: str) -> str:
    return next((kind for pattern, kind in _REFUSALS if re.search(pattern, reason)), "undecodable")


def _decoded(path: Path, form: str) -> Examined:
    meter: Meter | None = None
    kept: list[np.ndarray] = []
    num_kept = rate_hz = 0
    for rate_hz, frames in stream_channels(path):
        meter = meter or Meter(rate_hz)
        mono = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1)
        meter.add(frames, mono)
        if num_kept < MAX_S * rate_hz:
            kept.append(mono.copy())
            num_kept += len(mono)
    assert meter is not None  # a recording without samples is refused
    measures = meter.measures()
    problems = _problems(measures, rate_hz)
    sound = fingerprint(np.concatenate(kept), rate_hz) if measures.peak >= SILENT_PEAK else None
    return Examined(form, tuple(problems), rate_hz, measures, sound)


def _problems(found: Measures, rate_hz: int) -> list[Finding]:
    """Find the problems of a recording by itself; comparisons with other recordings are made in `audit`."""
    duration_s = found.num_samples / rate_hz
    problems = []
    if rate_hz not in USUAL_RATES_HZ:
        problems.append(Finding("odd-rate", f"{rate_hz:,} Hz, a rate that no recorder uses"))
    if duration_s < MIN_DURATION_S:
        problems.append(Finding("too-short", f"only {1000 * duration_s:.0f} ms long"))
    if found.peak < SILENT_PEAK:
        return [*problems, Finding("silent", f"its peak is {_db(found.peak)}")]
    level = 10 ** (found.level_db / 20)
    loudest, quietest = max(found.channel_levels), min(found.channel_levels)
    if loudest > ONE_CHANNEL_RATIO * quietest:
        problems.append(Finding("one-channel", f"another channel is {_ratio_db(quietest, loudest)} quieter"))
    elif len(found.channel_levels) > 1 and level < CANCELLING_RATIO * loudest:
        problems.append(Finding("cancelling", f"mixed to mono, it is {_ratio_db(level, loudest)} quieter"))
    if found.peak > OVER_SCALE:
        problems.append(Finding("over-scale", f"its peak is {found.peak:.3g} times full scale"))
    elif found.full_share > MIN_FULL_SHARE or (found.flat_share > MIN_FLAT_SHARE and found.plateau > MIN_PLATEAU):
        share = max(found.full_share, found.flat_share)
        problems.append(Finding("clipped", f"{100 * share:.2g} % of its samples are at the peak, {_db(found.peak)}"))
    if abs(found.offset) > max(MIN_OFFSET, MIN_OFFSET_SHARE * level):
        problems.append(Finding("dc-offset", f"its mean is {found.offset:+.3f} of full scale"))
    padding_s = (found.start_samples + found.end_samples) / rate_hz
    if padding_s > max(MIN_PADDING_S, MIN_PADDING_SHARE * duration_s):
        ends = ((found.start_samples / rate_hz, "start"), (found.end_samples / rate_hz, "end"))
        problems.append(Finding("padded", " and ".join(f"{s:.2f} s at its {end}" for s, end in ends if s > 0.01)))
    return problems


def _db(size: float) -> str:
    return f"{20 * np.log10(size):.0f} dB" if size > 0 else "zero"


def _ratio_db(low: float, high: float) -> str:
    return f"{20 * np.log10(high / low):.0f} dB" if low > 0 else "infinitely"
