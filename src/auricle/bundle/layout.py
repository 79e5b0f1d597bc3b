"""The layout of the attention of a network over time."""

from auricle.bundle.description import AttentionLayout
from auricle.config import Preset
from auricle.model.classifier import Network
from auricle.model.transformer import Encoder, reads_by_cls


def encoder_of_time(network: Network) -> Encoder | None:
    """Return the encoder whose attention is over time; None for a CNN, and where tokens are channels."""
    summary = network.summary
    if isinstance(summary, Encoder) and summary.tokens != "channels" and reads_by_cls(summary):
        return summary
    return None


def attention_layout(network: Network, preset: Preset) -> AttentionLayout | None:
    """Return the layout of the attention over time; None where there is none."""
    encoder, config = encoder_of_time(network), preset.encoder
    if encoder is None or config is None:
        return None
    return AttentionLayout(
        num_blocks=config.num_blocks,
        num_heads=config.heads[0],
        num_steps=encoder.num_steps,
        num_rows=encoder.num_tokens // encoder.num_steps,
    )
