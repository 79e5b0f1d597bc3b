"""A bundle: a folder with a trained model to distribute, described by bundle.json.

    bundle.json        this schema: classes, audio format, windows, calibration, origin, scores
    network.onnx       frames (B, bands, T) -> logits (B, K), and for a transformer its attention
    model.onnx         waveform (B, samples) -> logits (B, K): everything inside, any length
    model.safetensors  the weights for PyTorch (not in an int8 bundle)
    config.yaml        the preset
    config.json        the classes by index, for programs that read models of the Hugging Face Hub
    README.md          the model card

The folder can be uploaded to the Hub unchanged. config.json, the metadata of both graphs and the card repeat
bundle.json for programs that do not read it; `card.py` generates them from it, and auricle does not read them.

A bundle may come from an untrusted source: nothing in it is code, no path leads out of the folder, every file has a
known name, an exact size and a hash, and its graph may contain only arithmetic (see `graph.py`).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from auricle import files
from auricle.config import AudioConfig, FrontendConfig, Section

DESCRIPTION = "bundle.json"
NETWORK = "network.onnx"
STANDALONE = "model.onnx"
WEIGHTS = "model.safetensors"
CONFIG = "config.yaml"
LABELS = "config.json"
CARD = "README.md"
REQUIRED = (NETWORK, STANDALONE, CONFIG, CARD)
FILES = (*REQUIRED, WEIGHTS, LABELS)

MAX_FILE_BYTES = 64 * 2**20
MAX_WINDOW_S = 120.0
MAX_WINDOWS_ABOUT = 1_000  # windows that overlap at one point in time
MOST_NUMBER = 10**12  # of clips, bytes, seconds
MAX_WINDOW_VALUES = 20_000_000  # bands x frames of one window

FileName = Literal["network.onnx", "model.onnx", "model.safetensors", "config.yaml", "config.json", "README.md"]


class StoredFile(Section):
    """One file of a bundle."""

    num_bytes: int = Field(..., ge=1, le=MAX_FILE_BYTES)
    sha256: str = Field(..., pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(cls, content: bytes) -> StoredFile:
        """Describe a file with this content."""
        return cls(num_bytes=len(content), sha256=files.digest(content))


class AttentionLayout(Section):
    """How the attention of the network is laid out; `<cls>` comes first."""

    num_blocks: int = Field(..., ge=1, le=1000)
    num_heads: int = Field(..., ge=1, le=1000)
    num_steps: int = Field(..., ge=1, le=100_000, description="steps of time in a window")
    num_rows: int = Field(1, ge=1, le=10_000, description="tokens a step; frequency is slowest")


class Calibration(Section):
    """The calibration of the probabilities."""

    temperature: float = Field(1.0, ge=0.01, le=100, description="logits are divided by it")
    thresholds: tuple[float, ...] = Field(..., description="below it, the predicted class becomes none of these")
    num_clips: int = Field(0, ge=0, le=MOST_NUMBER, description="validation clips of both; 0: not fitted")


class FalseAlarms(Section):
    """How often a class is predicted for clips of background."""

    an_hour: float = Field(..., ge=0, description="background test clips for which a class is predicted, per hour")
    low: float = Field(..., ge=0, description="95 % interval")
    high: float = Field(..., ge=0)
    num_clips: int = Field(..., ge=1)
    hours: float = Field(..., gt=0, description="their total duration")


class Scores(Section):
    """Scores on test clips, in 0..1."""

    num_clips: int = Field(..., ge=1, le=MOST_NUMBER)
    accuracy: float = Field(..., ge=0, le=1)
    low: float = Field(..., ge=0, le=1, description="95 % interval of the accuracy")
    high: float = Field(..., ge=0, le=1)
    macro_f1: float = Field(..., ge=0, le=1)
    calibration_error: float = Field(..., ge=0, le=1, description="after temperature scaling")
    recall: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, description="of each class but the background"
    )
    false_alarms: FalseAlarms | None = Field(None, description="None where no class is background")
    measure: Literal["accuracy", "balanced accuracy"] = Field("accuracy", description="what `accuracy` is")
    majority: float = Field(0.0, ge=0, le=1, description="accuracy of always predicting the most frequent class")


class Origin(Section):
    """The training data and the cell of a model."""

    cell: str = Field(..., max_length=200)
    source: str = Field("unknown", max_length=1000)
    digest: str = Field("", max_length=200)
    licence: str = Field("", max_length=2000)
    num_train: int = Field(0, ge=0, le=MOST_NUMBER)
    clip_s: float = Field(0.0, ge=0, le=MOST_NUMBER)
    leaky: bool = False
    collapsed: bool = False
    vouching: tuple[str, ...] = Field((), description="cells that the scores are from; none: its own")
    notes: tuple[str, ...] = ()
    auricle: str = Field("", max_length=100)


class Int8(Section):
    """The accuracy lost by eight-bit quantisation, measured on the same clips with both networks."""

    num_clips: int = Field(..., ge=0, le=MOST_NUMBER)
    accuracy_float: float | None = Field(None, ge=0, le=1)
    accuracy_int8: float | None = Field(None, ge=0, le=1)
    num_bytes_float: int = Field(..., ge=1, le=MOST_NUMBER)
    num_bytes_int8: int = Field(..., ge=1, le=MOST_NUMBER)
    method: str = Field("", max_length=200)


def is_class_name(name: str) -> bool:
    """Return whether a bundle can have a class of this name."""
    return 0 < len(name) <= 200 and name.isprintable()


class Description(Section):
    """The content of bundle.json."""

    schema_version: Literal[1] = 1
    name: str = Field(..., min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
    categories: tuple[str, ...] = Field(..., min_length=2, max_length=10_000)
    audio: AudioConfig
    frontend: FrontendConfig
    mean: float = Field(..., ge=-1e3, le=1e3, description="of the features of the training clips; inside the network")
    std: float = Field(..., ge=1e-12, le=1e6)
    num_members: int = Field(1, ge=1, le=1000, description="networks whose probabilities are averaged")
    calibration: Calibration
    attention: AttentionLayout | None = None
    scores: Scores | None = None
    origin: Origin
    int8: Int8 | None = None
    files: dict[FileName, StoredFile]

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_scored(cls, content: Any) -> Any:
        """Bundles of earlier versions have no `clip_windows`; they used all windows."""
        if isinstance(content, dict) and isinstance(content.get("audio"), dict):
            content["audio"].setdefault("clip_windows", "all")
        return content

    @model_validator(mode="after")
    def _fits_together(self) -> Description:
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("categories has a name twice")
        if not all(map(is_class_name, self.categories)):
            raise ValueError("categories: names must be printable, with 1 to 200 characters")
        if len(self.calibration.thresholds) != len(self.categories):
            raise ValueError(f"calibration.thresholds: {len(self.categories)} are needed, one per category")
        if not all(0 <= value <= 1 for value in self.calibration.thresholds):
            raise ValueError("calibration.thresholds must be in 0..1")
        if self.audio.window_s > MAX_WINDOW_S or not 0.01 <= self.audio.window_hop_s <= MAX_WINDOW_S:
            raise ValueError(f"audio: a window lasts at most {MAX_WINDOW_S:g} s, its hop 0.01 s to that")
        if self.audio.window_s > MAX_WINDOWS_ABOUT * self.audio.window_hop_s:
            raise ValueError(f"audio: at most {MAX_WINDOWS_ABOUT} windows may overlap at a time")
        if missing := [name for name in REQUIRED if name not in self.files]:
            raise ValueError(f"files: {', '.join(missing)} is missing")
        num_frames = self._check_frontend()
        if self.attention and self.attention.num_steps > num_frames:
            raise ValueError(f"attention: num_steps must be at most the {num_frames} frames of a window")
        return self

    def _check_frontend(self) -> int:
        """Return the frames of a window, bounded, so that no number here becomes an allocation."""
        rate_hz, frontend = self.audio.sample_rate_hz, self.frontend
        if frontend.kind == "raw":
            num_bands, num_frames = 1, math.ceil(rate_hz * self.audio.window_s)
        else:
            hop, transform = (round(rate_hz * ms / 1000) for ms in (frontend.hop_ms, frontend.transform_ms))
            if not 1 <= hop <= 2**20 or not 2 <= transform <= 2**16:
                raise ValueError("frontend: hop_ms must be at least one sample, transform_ms 2 to 65,536 samples")
            if not frontend.min_hz < (frontend.max_hz or rate_hz / 2) <= rate_hz / 2:
                raise ValueError("frontend: it must hold that min_hz < max_hz <= half the sample rate")
            num_bands, num_frames = frontend.num_bands, math.ceil(rate_hz * self.audio.window_s / hop)
            if not 1e-30 <= frontend.floor <= 1:
                raise ValueError("frontend: floor must be in 1e-30..1")
        if not 1 <= num_bands * num_frames <= MAX_WINDOW_VALUES:
            raise ValueError(f"a window of {num_bands * num_frames} values; at most {MAX_WINDOW_VALUES} are taken")
        return num_frames
