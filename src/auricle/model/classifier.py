"""Build networks from configurations; this is the only module that does."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from auricle.config import BaseConfig, HeadConfig, Preset
from auricle.config.variants import Variants
from auricle.errors import UsageError
from auricle.model.cnn import Base, Block
from auricle.model.frontend import FRONTENDS, STACKS, Frontend
from auricle.model.transformer import Encoder
from auricle.model.windows import ClipWindows

SUMMARIES = Variants("encoder.tokens")  # None: Architecture 1, which has no encoder


class Pool(nn.Module):
    """Pool the map to one vector: its mean or maximum over frequency and time, or all values."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, map: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C), or (B, C F T) for "flatten"."""
        if self.kind == "flatten":
            return map.flatten(1)
        return map.mean((2, 3)) if self.kind == "mean" else map.amax((2, 3))


class Classifier(nn.Module):
    """Frontend, base, then either a pool (Architecture 1) or an encoder with `<cls>` (Architecture 2), and a head.

    It takes frames, not waveforms: `classifier(classifier.frontend.frames(waveforms))`.
    """

    def __init__(self, frontend: Frontend, base: Base, summary: nn.Module, head: nn.Sequential) -> None:
        super().__init__()
        self.frontend = frontend
        self.base = base
        self.summary = summary
        self.head = head

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, rows, T) -> logits (B, K)."""
        return self.head(self.summary(self.base(features)))

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, bands, T) -> logits (B, K)."""
        return self.classify(self.frontend(frames))


class Ensemble(nn.Module):
    """An ensemble of classifiers trained with different seeds, whose probabilities are averaged."""

    def __init__(self, members: Sequence[Classifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.summary = None  # the members have no common attention

    @property
    def frontend(self) -> Frontend:
        """That of the first member; all are equal, as they are fitted to the same clips."""
        return cast(Classifier, self.members[0]).frontend

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, bands, T) -> logits (B, K), the logarithm of the mean probability."""
        return torch.stack([member(frames).softmax(1) for member in self.members]).mean(0).clamp_min(1e-30).log()


Network = Classifier | Ensemble  # what a bundle can be made of


def build_base(config: BaseConfig, num_rows: int) -> Base:
    """Return the base over features of `num_rows` rows."""
    channels = num_rows if config.layout == "bands-as-channels" else 1
    blocks = []
    for block in config.blocks:
        options = dict(block)
        num_repeats, width = options.pop("repeat", 1), options.pop("channels")
        for index in range(num_repeats):
            if index:
                options |= {"stride": 1, "pool": "none"}
            blocks.append(Block(channels, width, **options))
            channels = 1 if options.get("channels_to_rows") else width
    return Base(*blocks, layout=config.layout)


def build_head(config: HeadConfig, width: int, num_classes: int) -> nn.Sequential:
    """Return hidden layers, if any, one Linear, and a softmax where asked: (B, width) -> (B, K)."""
    layers: list[nn.Module] = []
    for hidden in config.hidden:
        layers += [nn.Linear(width, hidden), nn.GELU()]
        width = hidden
    end = [nn.Softmax(1)] if config.softmax else []
    return nn.Sequential(*layers, nn.Dropout(config.dropout), nn.Linear(width, num_classes), *end)


@SUMMARIES.of(None)
def build_pool(preset: Preset, map_shape: tuple[int, int, int]) -> tuple[Pool, int]:
    """Return the pooling between base and head in Architecture 1, and the width of its output."""
    pool, (channels, rows, steps) = preset.head.pool, map_shape
    return Pool(pool), channels * rows * steps if pool == "flatten" else channels


@SUMMARIES.of("time", "map", "channels")
def build_encoder(preset: Preset, map_shape: tuple[int, int, int]) -> tuple[Encoder, int]:
    """Return the encoder between base and head in Architecture 2, and the width of its output."""
    assert preset.encoder is not None
    try:
        return Encoder(*map_shape, **dict(preset.encoder)), preset.encoder.width
    except ValueError as error:
        raise UsageError(f"preset {preset.name}: {error}") from error


def build_model(preset: Preset, num_classes: int) -> Classifier:
    """Build the network of a preset, with new weights from torch's global generator.

    Raises:
        UsageError: the sections do not fit together; the message says which.
    """
    try:
        frontend = FRONTENDS[preset.frontend.kind](preset.audio, preset.frontend)
        windows = ClipWindows.of(preset.audio, preset.frontend)
        frontend.normalise = preset.frontend.normalise
        if preset.frontend.stack_s is not None:
            frontend.stack = STACKS["stack_s"](preset.frontend, frontend.frames_per_s)
        features = frontend.stack(torch.zeros(1, frontend.num_rows, windows.window_frames))
        base = build_base(preset.base, features.shape[1])
        map_shape = tuple(base.eval()(features).shape[1:])
        base.train()
    except (ValueError, RuntimeError) as error:
        reason = f"a window of {preset.audio.window_s:g} s does not fit: {str(error).splitlines()[0]}"
        raise UsageError(f"preset {preset.name}: {reason}") from error
    summary, width = SUMMARIES[preset.encoder and preset.encoder.tokens](preset, map_shape)
    return Classifier(frontend, base, summary, build_head(preset.head, width, num_classes))
