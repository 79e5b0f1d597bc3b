"""A disk that refuses stops a study with the path and the need; what stood there stands, and a rerun goes on."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auricle import files, runs
from auricle.errors import MachineError
from auricle.runs import StudyFolder

HERE = Path(__file__).parent
SMALL = {"models": ("cnn",), "protocols": ("test-split",), "seeds": (0, 1)}


class FaultyDisk:
    """Lets so many operations pass, and fails all others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, operation: str, number: int) -> None:
        self.left = 10**9
        self.number = number
        owner, name = (Path, "replace") if operation == "rename" else (files.os, "fsync")
        plain = getattr(owner, name)

        def faulty(*words):
            self.left -= 1
            if self.left < 0:
                raise OSError(self.number, os.strerror(self.number))
            return plain(*words)

        monkeypatch.setattr(owner, name, faulty)


def prints(study: StudyFolder) -> dict[str, str]:
    """Return a hash of every file of the finished cells."""
    paths = [path for cell in study.cells() if cell.done for path in cell.folder.iterdir()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize(
    ("operation", "number"), [("fsync", errno.EIO), ("rename", errno.EROFS), ("fsync", errno.ENOSPC)]
)
def test_whatever_write_fails_the_study_stops_with_its_path_and_the_rerun_goes_on(
    run, tmp_path, monkeypatch, operation, number
):
    disk, study, failed = FaultyDisk(monkeypatch, operation, number), StudyFolder(tmp_path / "study"), []
    for num_good in range(100):
        disk.left, before = num_good, prints(study)
        try:
            run(**SMALL)
        except MachineError as error:
            failed.append(str(error))
        else:
            break
        assert before.items() <= prints(study).items()
        assert not list(tmp_path.rglob("*.part"))
    assert all(f" MB): {os.strerror(number)}" in message for message in failed)
    assert len({message.split()[2] for message in failed}) >= 6  # files that a write failed of
    assert len([cell for cell in study.cells() if cell.done]) == 2


def test_a_study_that_ran_out_of_room_goes_on_with_what_it_has(run, recorder, tmp_path, monkeypatch):
    disk, study = FaultyDisk(monkeypatch, "fsync", errno.ENOSPC), StudyFolder(tmp_path / "study")
    while not prints(study):
        disk.left = len(recorder.said) + 12
        with pytest.raises(MachineError, match="No space left on device; free some space and run the same command"):
            run(**SMALL)
    disk.left, before = 10**9, prints(study)
    assert len(run(**SMALL).done) == 2
    assert before.items() <= prints(study).items()


def test_an_interruption_stays_one_when_the_disk_refuses_too(run, fakes, tmp_path, monkeypatch):
    def interrupted(*words, **options):
        disk.left = 0
        raise KeyboardInterrupt

    disk = FaultyDisk(monkeypatch, "fsync", errno.ENOSPC)
    with pytest.raises(KeyboardInterrupt):
        run(interrupted, **SMALL)


def test_a_lock_that_cannot_be_written_is_told_with_its_path(tmp_path, monkeypatch):
    (tmp_path / ".lock").symlink_to("/dev/full")
    with pytest.raises(MachineError, match=r"cannot write .*/.lock \(0.1 MB\): "), runs.lock(tmp_path):
        pass


ON_A_SMALL_DISK = """
    set -e
    mount -t tmpfs -o size={size} small {disk}
    cd {disk}
    run() {{
        set +e
        {python} -m auricle_main study small.yaml --out study 2>{folder}/$1.err >/dev/null
        echo $? >{folder}/$1
        set -e
    }}
    cp {folder}/small.yaml .
    run full
    ls -A study >{folder}/left
    mount -o remount,size=200m,ro {disk}
    run read-only
    mount -o remount,size=200m,rw {disk}
    run again
    cp study/results.csv {folder}
"""


@pytest.mark.long
def test_a_study_on_a_disk_that_is_full_then_read_only_then_large(sounds, tmp_path):
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace of mounts can be made here")
    (tmp_path / "disk").mkdir()
    (tmp_path / "auricle_main.py").write_text(
        'import sys\nfrom auricle.cli import main\n\nif __name__ == "__main__":\n    sys.exit(main())\n'
    )
    text = f"data: {sounds}\nmodels: [cnn]\nprotocols: [test-split]\nseeds: [0, 1]\noverrides: {{training.epochs: 2}}\n"
    (tmp_path / "small.yaml").write_text(text)
    words = {"size": "1m", "disk": tmp_path / "disk", "python": sys.executable, "folder": tmp_path}
    places = {"AURICLE_CACHE": str(tmp_path / "cache"), "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(HERE.parents[1] / "src")])}
    script = ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK.format(**words)]
    subprocess.run(script, env={**os.environ, **places, **paths}, check=True)
    said = {name: (tmp_path / f"{name}.err").read_text() for name in ("full", "read-only", "again")}
    codes = [int((tmp_path / name).read_text()) for name in said]
    assert codes == [5, 5, 0], json.dumps(said)
    assert "checkpoint.pt (" in said["full"]
    assert "No space left on device; free some space" in said["full"]
    assert "Read-only file system" in said["read-only"]
    assert all("Traceback" not in words for words in said.values())
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 3
