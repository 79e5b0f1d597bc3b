"""Overrides that make a network which learns tones in a second, of any preset."""

SMALL = {
    "audio.sample_rate_hz": 4_000,
    "audio.window_s": 0.4,
    "audio.window_hop_s": 0.2,
    "frontend.num_bands": 16,
    "frontend.max_hz": None,
    "base.blocks": [
        {"axes": ["frequency", "time"], "channels": 8, "stride": 2},
        {"axes": ["frequency", "time"], "channels": 8, "stride": 2},
    ],
    "training.batch_size": 8,
    "training.views": 2,
    "training.precision": "float32",  # PyTorch's bfloat16 convolutions of so few channels give an inf now and then
    "training.weight_average": 0,
    "augmentation.mix": 0,
    "augmentation.band_shift": 0,  # the pitch is what tells the tones apart
    "augmentation.band_mask": 0,
    "augmentation.filter_db": 0,
}
