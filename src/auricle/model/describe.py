"""Describe a network as a table: layers, output shapes, parameters and multiply-adds."""

from typing import Any

import torch
from torch import Tensor, nn

from auricle.config import Preset
from auricle.errors import count
from auricle.model.classifier import Classifier, Pool, build_model
from auricle.model.cnn import Convolution, MapConv1d, Shortcut
from auricle.model.transformer import MultiHeadAttention
from auricle.model.windows import ClipWindows, count_windows

TOKEN_KINDS = {"summary.cls": "<cls> token", "summary.positions": "learned positions, added"}
ROWS = (
    Convolution,
    Shortcut,
    MultiHeadAttention,
    Pool,
    nn.Linear,
    nn.LayerNorm,
    nn.Softmax,
    nn.MaxPool2d,
    nn.AvgPool2d,
)
LAYER_KINDS = {
    "Shortcut": "shortcut: average pooling, 1x1 convolution, batch norm",
    "Linear": "linear",
    "BatchNorm2d": "batch norm",
    "LayerNorm": "layer norm",
    "Softmax": "softmax",
    "MaxPool2d": "max pooling",
    "AvgPool2d": "average pooling",
    "ReLU": "ReLU",
    "GELU": "GELU",
}


def _own_multiply_adds(module: nn.Module, inputs: Tensor, output: Tensor) -> int:
    """Return the multiply-adds of one call, excluding its submodules."""
    if isinstance(module, MapConv1d):
        return output.numel() * module.in_channels * module.kernel_size[0]
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, MultiHeadAttention):
        B, T, D = inputs.shape
        return 2 * B * T * T * (D + module.padding)  # Q K^T and A V
    return 0


def _kind(module: nn.Module) -> str:
    """Describe a layer in words."""
    if isinstance(module, Convolution):
        convolution = module[0]
        assert isinstance(convolution, MapConv1d)
        text = f"1D convolution along {convolution.axis}, kernel {convolution.kernel_size[0]}"
        if convolution.stride[0] > 1:
            text += f", stride {convolution.stride[0]}"
        return ", ".join([text, *(LAYER_KINDS[type(layer).__name__] for layer in list(module)[1:])])
    if isinstance(module, MultiHeadAttention):
        return f"self-attention, {count(module.num_heads, 'head')}"
    if isinstance(module, Pool):
        return {"mean": "mean over the map", "max": "maximum over the map", "flatten": "flatten"}[module.kind]
    return LAYER_KINDS[type(module).__name__]


def _measure(model: Classifier, frames: Tensor) -> tuple[dict[nn.Module, int], dict[nn.Module, list[int]]]:
    """Run one window and return multiply-adds and output shapes of each module."""
    work: dict[nn.Module, int] = {}
    shapes: dict[nn.Module, list[int]] = {}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        work[module] = _own_multiply_adds(module, inputs[0], output)
        shapes[module] = list(output.shape[1:])

    for module in list(model.modules())[1:]:
        module.register_forward_hook(record)
    with torch.no_grad():
        model.eval()(frames)
    return work, shapes


def describe(preset: Preset, num_classes: int, clip_s: float) -> dict[str, Any]:
    """Return the layers of a preset and their cost, as plain values for JSON.

    Multiply-adds are those of the network alone (the frontend's transform is not counted), for one window and for
    all the windows that score a clip of `clip_s` seconds. Shapes are without the batch dimension.

    Raises:
        UsageError: the model of the preset cannot be built.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # shapes only: no weights drawn, nothing computed
        model = build_model(preset, num_classes).to("meta")
    windows = ClipWindows.of(preset.audio, preset.frontend)
    bands = 1 if model.frontend.spectrum is None else preset.frontend.num_bands
    work, shapes = _measure(model, torch.zeros(1, bands, windows.window_frames, device="meta"))
    rows: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if isinstance(module, ROWS) and not any(name.startswith(f"{row}.") for row in rows):  # none inside another
            rows[name] = module
    layers: list[dict[str, Any]] = [
        {
            "name": name,
            "kind": _kind(row),
            "output_shape": shapes[row],
            "parameters": sum(p.numel() for p in row.parameters()),
            "multiply_adds": sum(work.get(m, 0) for m in row.modules()),
        }
        for name, row in rows.items()
    ]
    loose = [
        {"name": name, "kind": TOKEN_KINDS[name], "output_shape": list(p.shape[1:]), "parameters": p.numel()}
        for name, p in model.named_parameters()
        if name in TOKEN_KINDS
    ]
    own = [row["name"].startswith("summary.") and row["name"] != "summary.projection" for row in layers]
    at = own.index(True) if loose else 0
    layers[at:at] = [row | {"multiply_adds": 0} for row in loose]
    trainable, fixed = (
        sum(p.numel() for p in model.parameters() if p.requires_grad == wanted) for wanted in (True, False)
    )
    statistics = sum(v.numel() for k, v in model.state_dict().items() if k.endswith(("running_mean", "running_var")))
    window = sum(row["multiply_adds"] for row in layers)
    return {
        "name": preset.name,
        "about": preset.about,
        "layers": layers,
        "parameters": trainable + fixed,
        "trainable_parameters": trainable,
        "non_trainable_parameters": fixed,
        "running_statistics": statistics,
        "multiply_adds_per_window": window,
        "multiply_adds": window * count_windows(preset.audio, preset.frontend, clip_s),
        "frames_per_window": windows.window_frames,
        "config": preset.model_dump(mode="json"),
    }
