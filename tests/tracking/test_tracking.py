import json
import signal
import sys
from pathlib import Path

import pytest
from wandb_file import items, read_records

from auricle.errors import UsageError
from auricle.runs import StudyFolder
from auricle.tracking import tracking
from auricle.tracking.tracking import Mirror, choose_mode


def test_what_is_asked_for_comes_before_wandb_mode():
    assert choose_mode("off", {"WANDB_MODE": "offline"}) == "off"
    assert choose_mode(None, {"WANDB_MODE": "disabled"}) == "off"
    assert choose_mode(None, {"WANDB_MODE": "dryrun"}) == "offline"


def test_a_key_means_online_and_none_means_offline(tmp_path):
    nothing = {"NETRC": str(tmp_path / "none")}
    assert choose_mode(None, nothing) == "offline"
    assert choose_mode("online", nothing) == "offline"
    assert choose_mode(None, nothing | {"WANDB_API_KEY": "k"}) == "online"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password k\n")
    assert choose_mode(None, {"NETRC": str(tmp_path / "netrc")}) == "online"
    elsewhere = {"NETRC": str(tmp_path / "netrc"), "WANDB_BASE_URL": "https://wandb.example.org"}
    assert choose_mode(None, elsewhere) == "offline"


def test_a_mode_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(UsageError, match=r"option --wandb 'of': .*Available: online, offline, off"):
        choose_mode("of", {})
    with pytest.raises(UsageError, match="WANDB_MODE 'x'"):
        choose_mode(None, {"WANDB_MODE": "x"})


AT_ONCE = """
import sys
from pathlib import Path
from auricle.runs import StudyFolder
from auricle.tracking import mirror
from auricle.tracking.final_sync import FinalSync
mirror.SETTINGS |= {"init_timeout": 600.0, "finish_timeout": 600.0}
sys.exit(mirror.main(StudyFolder(Path(sys.argv[-2])), sys.argv[-1], FinalSync(online=False)))
"""  # a mirror that gives way, as it should, gets no second of a busy machine in the minute that it is waited for


def test_an_offline_study_leaves_one_finished_run_a_cell(run, fakes, recorder, monkeypatch, tmp_path):
    mirror = script(tmp_path, f"exec {sys.executable} -c '{AT_ONCE}' \"$@\"")
    monkeypatch.setattr(tracking, "sys", type("", (), {"executable": mirror}))
    monkeypatch.setattr(tracking, "WAIT_S", 600.0)
    run(fakes.cnn_diverges, protocols=("test-split",), wandb_mode="offline")
    found = {}
    for path in (tmp_path / "study" / "wandb").glob("offline-run-*/*.wandb"):
        records = list(read_records(path))
        (described,) = [content for kind, content in records if kind == "run"]
        found[described.display_name] = described, records
    assert set(found) == {"cnn/test-split-2-0", "transformer-h2/test-split-2-0"}
    described, records = found["transformer-h2/test-split-2-0"]
    assert (described.project, described.run_group) == ("sounds", "small")
    assert json.loads(items(described.config.update)["training"])["epochs"] == 2
    rows = [items(content.item) for kind, content in records if kind == "history"]
    assert [json.loads(row["train/accuracy"]) for row in rows[:2]] == [0.5, 0.5]
    assert "test/confusion_matrix_table.path" in rows[2]
    summary = {k: v for kind, content in records if kind == "summary" for k, v in items(content.update).items()}
    assert json.loads(summary["test/accuracy"]) == 1.0
    assert [content.exit_code for kind, content in records if kind == "exit"] == [0]
    assert [content.exit_code for kind, content in found["cnn/test-split-2-0"][1] if kind == "exit"] == [1]
    assert "offline; to upload: wandb sync" in recorder.of("note")[-1]
    run(fakes.never_called, models=("transformer-h2",), protocols=("test-split",), wandb_mode="offline")
    assert len(list((tmp_path / "study" / "wandb").glob("offline-run-*"))) == 2


def test_off_leaves_no_trace(run, recorder, tmp_path):
    run(protocols=("test-split",))
    assert not (tmp_path / "study" / "wandb").exists()
    assert not recorder.of("note")


def test_a_mirror_that_crashes_at_its_start_does_not_fail_the_study(run, recorder, monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "sys", type("", (), {"executable": script(tmp_path, "echo broken >&2; exit 3")}))
    result = run(protocols=("test-split",), wandb_mode="offline")
    assert len(result.done) == 2
    assert recorder.of("note")[-1].startswith("W&B: failed, the study is not affected: broken")


def test_a_mirror_that_cannot_be_started_does_not_fail_the_study(run, recorder, monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "sys", type("", (), {"executable": str(tmp_path / "missing")}))
    assert len(run(protocols=("test-split",), wandb_mode="offline").done) == 2
    assert "the study is not affected" in recorder.of("note")[-1]


def test_a_mirror_that_hangs_is_ended(monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "sys", type("", (), {"executable": script(tmp_path, "exec sleep 60")}))
    mirror = Mirror(StudyFolder(tmp_path / "study"), "offline")
    mirror.start()
    assert "so it was stopped" in mirror.finish(timeout_s=0.1)
    assert mirror.process.returncode == -signal.SIGKILL


def script(folder: Path, commands: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{commands}\n")
    path.chmod(0o755)
    return str(path)
