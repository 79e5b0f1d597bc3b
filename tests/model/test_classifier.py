import pytest
import torch
from torch import nn

from auricle.config import Preset, load_preset, preset_names
from auricle.errors import UsageError
from auricle.model.classifier import build_model
from auricle.model.describe import describe
from auricle.model.windows import ClipWindows, count_windows

OURS = ["cnn", "transformer-h1", "transformer-h2", "transformer-h4"]


def small(**sections: object) -> Preset:
    base = {"blocks": [{"channels": 6, "kernel": 3}, {"channels": 8, "kernel": 5, "stride": 2, "pool": "max"}]}
    return Preset.model_validate({"name": "small", "base": base, **sections})


def windows_of(preset: Preset) -> ClipWindows:
    return ClipWindows.of(preset.audio, preset.frontend)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_builds_and_gives_one_logit_a_class(name: str) -> None:
    preset = load_preset(name)
    model = build_model(preset, 10)
    waveforms = torch.randn(2, round(preset.audio.sample_rate_hz * preset.audio.window_s) - 1)
    frames = model.frontend.frames(waveforms)
    frames = nn.functional.pad(frames, (0, max(0, windows_of(preset).window_frames - frames.shape[2])))
    assert model(frames[:, :, : windows_of(preset).window_frames]).shape == (2, 10)


@pytest.mark.parametrize("name", preset_names())
def test_the_layers_of_every_preset_account_for_all_of_its_parameters(name: str) -> None:
    facts = describe(load_preset(name), 10, clip_s=5.0)
    assert sum(row["parameters"] for row in facts["layers"]) == facts["parameters"]
    assert facts["parameters"] == facts["trainable_parameters"] + facts["non_trainable_parameters"]


def test_our_presets_share_one_base_and_one_recipe() -> None:
    presets = [load_preset(name) for name in OURS]
    assert len({str(preset.base) for preset in presets}) == 1
    assert [preset.encoder and preset.encoder.num_heads for preset in presets] == [None, 1, 2, 4]


def test_a_softmax_may_stand_before_the_loss() -> None:
    torch.manual_seed(0)
    shares = build_model(small(head={"softmax": True}), 3).eval()(torch.rand(4, 64, 75))
    torch.testing.assert_close(shares.sum(1), torch.ones(4))
    assert describe(small(head={"softmax": True}), 3, 3.0)["layers"][-1]["kind"] == "softmax"


def test_a_window_shorter_than_its_stretches_is_refused() -> None:
    with pytest.raises(UsageError, match="a window of 3 s does not fit: stack_s is 100 frames long, the window 75"):
        build_model(small(frontend={"stack_s": 4}), 3)
    for changes in ({"stack_s": 0.01}, {"stack_s": 1, "stack_hop_s": 0.01}):
        with pytest.raises(UsageError, match=r"does not fit: stack_s .* is less than a frame"):
            build_model(small(frontend=changes), 3)


def test_tiny_is_tiny() -> None:
    facts = describe(load_preset("tiny"), 10, clip_s=5.0)
    assert facts["parameters"] <= 100_000
    assert facts["multiply_adds"] <= 50_000_000


def test_raw_cnn_hears_the_waveform_itself() -> None:
    preset = load_preset("raw-cnn")
    model = build_model(preset, 10)
    waveforms = torch.randn(2, windows_of(preset).window_frames)
    assert torch.equal(model.frontend.frames(waveforms)[:, 0], waveforms)
    assert model.base[0](waveforms[:, None, None]).shape == (2, 1, 64, 75)


def test_the_number_of_heads_changes_no_parameter_count() -> None:
    assert len({describe(load_preset(name), 10, 5.0)["parameters"] for name in OURS[1:]}) == 1


def test_multiply_adds_and_parameters_by_hand() -> None:
    facts = describe(small(frontend={"num_bands": 16}), 10, clip_s=5.0)
    first, second = 75 * 6 * 16 * 3, 38 * 8 * 6 * 5
    assert facts["multiply_adds_per_window"] == first + second + 8 * 10
    assert facts["multiply_adds"] == 5 * facts["multiply_adds_per_window"]
    assert facts["parameters"] == (16 * 6 * 3 + 12) + (6 * 8 * 5 + 16) + (8 * 10 + 10)


def test_attention_multiply_adds_by_hand() -> None:
    facts = describe(small(encoder={"num_heads": 2, "num_blocks": 1, "width": 12, "mlp_width": 20}), 10, clip_s=3.0)
    attention = next(row for row in facts["layers"] if row["kind"].startswith("self-attention"))
    tokens = 19 + 1
    assert attention["multiply_adds"] == 4 * tokens * 12 * 12 + 2 * tokens * tokens * 12


def test_a_frozen_parameter_is_counted_as_not_trainable(monkeypatch) -> None:
    def frozen_head(preset: Preset, num_classes: int) -> nn.Module:
        model = build_model(preset, num_classes)
        model.head.requires_grad_(False)
        return model

    whole = describe(small(), 3, 5.0)
    monkeypatch.setattr("auricle.model.describe.build_model", frozen_head)
    facts = describe(small(), 3, 5.0)
    assert (whole["non_trainable_parameters"], facts["non_trainable_parameters"]) == (0, 8 * 3 + 3)
    assert facts["parameters"] == whole["parameters"] == facts["trainable_parameters"] + 8 * 3 + 3


@pytest.mark.parametrize(("clip_s", "num"), [(2.0, 1), (3.0, 1), (3.2, 2), (5.0, 3), (5.5, 4)])
def test_windows_inside_a_clip_reach_its_end(clip_s: float, num: int) -> None:
    preset = small(audio={"clip_windows": "all"})
    assert count_windows(preset.audio, preset.frontend, clip_s) == num


def test_a_window_too_short_for_the_base_is_refused_in_one_line() -> None:
    preset = small(base={"blocks": [{"channels": 4, "kernel": 9, "padding": 0}]}, audio={"window_s": 0.2})
    with pytest.raises(UsageError, match=r"a window of 0\.2 s does not fit"):
        build_model(preset, 2)


def test_the_flat_head_sees_the_whole_map() -> None:
    facts = describe(small(head={"pool": "flatten"}), 10, 5.0)
    assert facts["layers"][-1]["parameters"] == 8 * 19 * 10 + 10


def test_equal_seeds_give_equal_networks_and_describing_changes_no_seed() -> None:
    torch.manual_seed(3)
    first = build_model(small(), 4).state_dict()
    torch.manual_seed(3)
    describe(small(), 4, 5.0)
    second = build_model(small(), 4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
