"""How the trainings of a study are divided among processes."""

import pytest
import torch

from auricle.work import options
from auricle.work.options import divide

GB = 1e9


@pytest.mark.parametrize(
    ("gpu_gb", "main_gb", "expected"),
    [(140, 128, 8), (9, 128, 4), (140, 7, 3), (1, 128, 1)],
    ids=["one per core", "the GPU is small", "main memory is small", "at least one"],
)
def test_a_gpu_runs_as_many_trainings_as_cores_and_memory_allow(monkeypatch, gpu_gb, main_gb, expected) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (gpu_gb * GB, 2 * gpu_gb * GB))
    monkeypatch.setattr(options, "free_bytes", lambda: main_gb * GB)
    monkeypatch.setattr(options, "num_cores", lambda: 8)
    assert divide(None, "cuda", 1, 100) == (expected, 1)
    assert divide(12, "cuda", 1, 100) == (12, 1)
    assert divide(None, "mps", 1, 100) == (1, 1)
    assert divide(None, "cpu", 1, 100) == (8, 1)


def test_a_finished_study_asks_no_gpu() -> None:
    assert divide(None, "cuda", None, 0)[0] == 1
