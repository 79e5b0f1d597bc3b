"""What a person may ask of a run, be it a study or a search: where its data lie, and on what it trains."""

from dataclasses import dataclass
from pathlib import Path

from auricle.errors import UsageError, choices
from auricle.system import num_cores, num_threads
from auricle.work.ray.cluster import RayOptions

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class RunOptions:
    """How a study or a search is run; nothing of it changes what is asked."""

    root: Path | None = None  # where named datasets lie; None: as `load_manifest` says
    skip_bad: bool = False  # leave out recordings that cannot be read, instead of refusing the dataset
    workers: int | None = None  # None: one a core on the CPU, one on an accelerator; on a cluster, what it holds
    threads: int | None = None  # of each worker; None: as `system.num_threads` says
    device: str = "auto"  # one of `DEVICES`
    ray: RayOptions | None = None  # the cluster that trains; None: this machine
    command: str = ""  # what a person typed, for the record

    def check(self) -> None:
        """Refuse what cannot be meant, before anything is read.

        Raises:
            UsageError: a number of workers or a name of a device that does not exist; or what `RayOptions` refuses.
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
    if name == "cpu":  # which every machine has, and PyTorch takes a second to say so
        return name
    from auricle.training.start import choose_device

    return str(choose_device(name))


def divide(workers: int | None, device: str, threads: int | None, num_jobs: int) -> tuple[int, int]:
    """Return how many processes train at a time on this machine, and the processor threads of each.

    None: one worker a core on the CPU, one on an accelerator; threads as `system.num_threads` says.
    """
    num_workers = max(1, min(workers or (num_cores() if device == "cpu" else 1), num_jobs))
    return num_workers, threads or num_threads()
