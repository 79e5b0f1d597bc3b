"""Presets of a few thousand parameters."""

from auricle.config import Preset

RATE_HZ = 4_000
BLOCKS = [
    {"axes": ["frequency"], "channels": 6, "stride": 2},
    {"axes": ["frequency", "time"], "channels": 8, "stride": 2, "residual": True},
]


def tiny(**sections: object) -> dict[str, object]:
    return {
        "audio": {"sample_rate_hz": RATE_HZ, "window_s": 0.6, "window_hop_s": 0.2},
        "frontend": {"num_bands": 16},
        "base": {"layout": "map", "blocks": BLOCKS},
        "training": {"epochs": 2, "batch_size": 4, "views": 1, "warmup_epochs": 0, "weight_average": 0},
        **sections,
    }


def preset(**sections: object) -> Preset:
    return Preset.model_validate({"name": "tiny", **tiny(**sections)})


ENCODER = {"num_heads": 2, "num_blocks": 2, "width": 16, "mlp_width": 16}
