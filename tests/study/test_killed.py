"""SIGKILL at random moments: nothing is lost, nothing is done twice, and the end is the same."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

HERE = Path(__file__).parent


def kill(tmp_path: Path, num_seeds: int, num_kills: int, seed: int, num_workers: int = 1) -> dict:
    words = [str(tmp_path), *map(str, (num_seeds, num_kills, seed, num_workers))]
    command = [sys.executable, str(HERE / "killed_study.py"), *words]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, env=one_thread, stdout=subprocess.PIPE, check=True).stdout)


def check(found: dict, num_cells: int, num_kills: int, num_workers: int = 1) -> None:
    assert found["num_cells"] == num_cells
    assert found["same"]
    assert found["touched"] == []
    assert found["halves"] == []
    begun = Counter(found["begun"])
    assert len(begun) == num_cells * 6
    assert begun.total() <= len(begun) + num_kills * num_workers  # an epoch a kill and worker is begun again


def test_a_study_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path):
    check(kill(tmp_path, num_seeds=0, num_kills=2, seed=3), num_cells=3, num_kills=2)


@pytest.mark.long
def test_twenty_cells_killed_at_fifty_random_moments_end_as_if_they_had_not_been(tmp_path):
    check(kill(tmp_path, num_seeds=2, num_kills=50, seed=0), num_cells=20, num_kills=50)


@pytest.mark.long
def test_worker_processes_killed_with_their_parent_leave_what_they_had(tmp_path):
    check(kill(tmp_path, num_seeds=1, num_kills=8, seed=1, num_workers=2), num_cells=10, num_kills=8, num_workers=2)
