import copy

import pytest
import torch
from torch import nn

from auricle.config import TrainingConfig, load_preset
from auricle.model.classifier import build_model
from auricle.training.optimise import Muon, build_optimizer, orthogonalised


@pytest.mark.parametrize("shape", [(3, 16, 48), (2, 48, 16), (1, 64, 64)])
def test_orthogonalised_matrices_keep_their_directions_and_level_their_strengths(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    strengths = (u.mT @ orthogonalised(matrices, torch.float32) @ v.mT).diagonal(dim1=1, dim2=2)
    assert strengths.min() > 0.3 or shape[1] == shape[2]  # a square matrix may be all but singular
    assert 0.7 < strengths.median() < strengths.max() < 1.3
    torch.testing.assert_close(
        orthogonalised(matrices, torch.float32), u @ torch.diag_embed(strengths) @ v, atol=1e-4, rtol=0
    )


def test_products_of_half_precision_orthogonalise_as_well() -> None:
    matrices = torch.randn(3, 20, 30, generator=torch.Generator().manual_seed(1))
    exact, quick = (orthogonalised(matrices, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert quick.dtype == torch.float32
    assert float((quick - exact).norm() / exact.norm()) < 0.05


def test_matrices_of_one_shape_move_as_they_would_alone() -> None:
    torch.manual_seed(0)
    together = [nn.Parameter(torch.randn(6, 2, 3, 1)) for _ in range(3)]
    alone = copy.deepcopy(together)
    gradients = [torch.randn_like(weight) for weight in together]
    groups = [[*together], *([weight] for weight in alone)]
    for weights in groups:
        optimizer = Muon(
            [{"params": weights, "lr": 0.1, "weight_decay": 0.1, "shape": (-1, 6, 6), "dtype": torch.float32}],
            momentum=0.9,
        )
        for weight, gradient in zip(weights, gradients if len(weights) == 3 else [gradients.pop(0)], strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_without_orthogonal_groups_it_is_adamw() -> None:
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    muon = Muon([{"params": ours.parameters(), "lr": 0.01, "weight_decay": 0.1, "shape": None}], momentum=0.9)
    adamw = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    x = torch.randn(8, 4)
    for model, optimizer in ((ours, muon), (theirs, adamw)):
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_muon_moves_what_lies_between_the_first_and_the_last_layer() -> None:
    model = build_model(load_preset("transformer-h2", {"encoder.positions": "learned"}), 3)
    config = TrainingConfig(optimizer="muon", learning_rate=0.004, matrix_learning_rate=0.02)
    optimizer = build_optimizer(model, config, torch.float32)
    names = {id(p): name for name, p in model.named_parameters()}
    moved = {
        name: group["shape"] is not None
        for group in optimizer.param_groups
        for name in map(names.get, map(id, group["params"]))
    }
    assert set(moved) == set(names.values())
    assert not moved["base.0.convolutions.0.0.weight"]
    assert not moved["head.3.weight"]
    assert not moved["summary.cls"]
    assert not moved["summary.positions"]
    assert moved["summary.projection.weight"]
    assert moved["summary.blocks.0.attention.query.weight"]
    assert all(moved[name] is False for name in moved if name.endswith("bias") or "norm" in name)
    assert {bool(group["shape"]): group["scale"] for group in optimizer.param_groups} == {False: 1, True: 5}


def test_a_state_that_was_saved_goes_on_the_same() -> None:
    torch.manual_seed(0)
    model = build_model(load_preset("cnn"), 3)
    frames = torch.rand(4, 64, 75)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(frames).square().mean().backward()
        optimizer.step()

    model.eval()  # no dropout
    optimizer = build_optimizer(model, TrainingConfig(optimizer="muon"), torch.float32)
    step(model, optimizer)
    twin = copy.deepcopy(model)
    other = build_optimizer(twin, TrainingConfig(optimizer="muon"), torch.float32)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(model, optimizer)
    step(twin, other)
    for one, same in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, same)
