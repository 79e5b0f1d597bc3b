import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import torch
from auricle.system import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    return (torch.ones(2**24) + 1).sum()  # two arrays of 64 MiB
for _ in range(8):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_a_step_takes_the_memory_of_those_before():
    pages = {
        how: int(subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("given back", "kept")
    }
    assert pages["kept"] < pages["given back"] / 10, pages
