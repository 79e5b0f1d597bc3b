"""Convert a network from PyTorch to ONNX."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch
from torch import Tensor, nn

from auricle.bundle.layout import encoder_of_time
from auricle.bundle.standalone import OPSET
from auricle.config import Preset
from auricle.model.classifier import Ensemble, Network
from auricle.model.transformer import attention_weights
from auricle.model.windows import ClipWindows


class NetworkGraph(nn.Module):
    """What network.onnx computes: logits, and for a transformer over time the attention of every layer."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(B, bands, T) -> (B, K), and (B, layers, heads, tokens, tokens)."""
        network, encoder = self.network, encoder_of_time(self.network)
        if encoder is None or isinstance(network, Ensemble):
            return network(frames)
        map = network.base(network.frontend(frames))
        return network.head(encoder(map)), torch.stack(attention_weights(encoder, map), dim=1)


def network_graph(network: Network, preset: Preset) -> onnx.ModelProto:
    """Return the ONNX graph of a network: `frames` in, `logits` (and `attention`) out, any batch."""
    bands = 1 if network.frontend.spectrum is None else preset.frontend.num_bands
    frames = torch.rand(3, bands, ClipWindows.of(preset.audio, preset.frontend).window_frames)
    outputs = ["logits", "attention"] if encoder_of_time(network) else ["logits"]
    with quiet():
        program = torch.onnx.export(
            NetworkGraph(network).eval(),
            (frames,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=2**16)},),
            input_names=["frames"],
            output_names=outputs,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    for node in graph.graph.node:  # remove the names of Python modules and source lines
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.graph.value_info[:]
    del graph.graph.metadata_props[:]
    del graph.functions[:]
    return graph


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress the output of a converter."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
