"""Options of a run, of a study or a search: where the data are, and on what it is trained."""

from dataclasses import dataclass
from pathlib import Path

from auricle.errors import UsageError, choices
from auricle.system import free_bytes, num_cores, num_threads
from auricle.work.ray.cluster import RayOptions

DEVICES = ("auto", "cpu", "cuda", "mps")
GPU_TRAINING_BYTES = 2e9  # of a GPU, and of main memory, that a training takes with the libraries of CUDA


@dataclass(frozen=True)
class RunOptions:
    """How a study or a search is run; these options do not change its configuration."""

    root: Path | None = None  # folder of named datasets; None: the default of `load_manifest`
    skip_bad: bool = False  # skip recordings that cannot be read, instead of refusing the dataset
    workers: int | None = None  # None: as `divide` says; on a cluster, as many as fit
    threads: int | None = None  # per worker; None: `system.num_threads`
    device: str = "auto"  # one of `DEVICES`
    ray: RayOptions | None = None  # the cluster to train on; None: this machine
    command: str = ""  # the command as typed, for study.yaml

    def check(self) -> None:
        """Check the values before anything is read.

        Raises:
            UsageError: an impossible number of workers or an unknown device; or an error of `RayOptions.check`.
        """
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers must be 1 or more, not {self.workers}")
        if self.device.partition(":")[0] not in DEVICES:
            raise choices("device", self.device, list(DEVICES))
        if self.ray:
            self.ray.check()


def find_device(name: str) -> str:
    """Return the device that a name means, as `training.start.choose_device` does.

    Raises:
        MachineError: this machine has no such device.
    """
    if name == "cpu":  # every machine has one, so PyTorch, which takes a second to load, is not needed
        return name
    from auricle.training.start import choose_device

    return str(choose_device(name))


def divide(workers: int | None, device: str, threads: int | None, num_jobs: int) -> tuple[int, int]:
    """Return the number of training processes on this machine, and the CPU threads of each.

    None: one worker per core, on an NVIDIA GPU as far as memory allows, and one on another accelerator;
    `system.num_threads` threads.
    """
    num_workers = max(1, min(workers or _most_workers(device), num_jobs)) if num_jobs else 1
    return num_workers, threads or num_threads()


def _most_workers(device: str) -> int:
    """Return how many trainings a device runs at a time: a GPU mostly waits for the processor of a single one."""
    if device == "cpu":
        return num_cores()
    if not device.startswith("cuda"):
        return 1
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return min(num_cores(), int(min(free, free_bytes()) // GPU_TRAINING_BYTES))
