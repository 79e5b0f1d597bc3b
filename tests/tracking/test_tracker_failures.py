"""Whatever the server of W&B does, a study ends as without it, and loses no row."""

import json

import pytest
import requests
from wandb_file import items, read_records
from wandb_server import FAILURES, KEY, serving

from auricle import runs
from auricle.runs import StudyFolder
from auricle.tracking.final_sync import ask_server
from auricle.tracking.following import CURVES
from waiting import wait_until

CELL = "cnn/test-split-2-0"
ASKED = {"models": ("cnn",), "protocols": ("test-split",), "wandb_mode": "online"}


@pytest.fixture
def server(monkeypatch, tmp_path):
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


def local_rows(tmp_path) -> list[dict]:
    """Return what should stand on the server: the curves of every epoch."""
    (cell,) = StudyFolder(tmp_path / "study").cells()
    return [
        {"_step": record["epoch"], **{name: record[key] for key, name in CURVES.items() if key in record}}
        for record in runs.read_history(cell)
    ]


def curves(rows: list[dict]) -> list[dict]:
    """Leave out W&B's own fields, and the row of charts."""
    kept = {"_step", *CURVES.values()}
    return [{name: row[name] for name in row if name in kept} for row in rows if "train/loss" in row]


def test_a_server_that_hangs_is_not_waited_for_and_gets_every_row_later(server, run, fakes, recorder, tmp_path):
    server.behaviour = "hangs"
    assert len(run(fakes.quick, **ASKED).done) == 1
    assert recorder.of("note")[-1].startswith("W&B: the server has not answered for 2 s; results are complete")
    assert len(local_rows(tmp_path)) == 2
    assert not server.rows
    server.behaviour = "good"
    for _ in range(30):  # on a busy machine the rows may come too late for one run
        if CELL not in server.rows:
            run(fakes.never_called, **ASKED)
    assert curves(server.rows[CELL]) == local_rows(tmp_path)


def test_the_request_may_notice_the_silence_before_the_one_who_waits_for_it(monkeypatch):
    def post(*_, timeout, **__):
        raise requests.ReadTimeout

    monkeypatch.setattr(requests, "post", post)
    assert ask_server(2.0) == "the server has not answered for 2 s"


@pytest.mark.long
@pytest.mark.parametrize("failure", FAILURES)
def test_a_server_that_fails_in_the_middle_gets_every_row_once_it_is_back(server, run, fakes, tmp_path, failure):
    def fit(cell, preset, recordings, split, **options):
        for epoch in range(1, 4):
            fakes.write_epoch(cell, epoch, options["on_epoch"])
        wait_until(lambda: server.rows.get(CELL))
        server.behaviour = failure
        fakes.quick(cell, preset, recordings, split, **options)

    wished = ASKED | {"overrides": {"training.epochs": 6}}
    assert len(run(fit, **wished).done) == 1
    assert len(local_rows(tmp_path)) == 6
    server.behaviour = "good"
    server.released.set()
    run(fakes.never_called, **wished)
    assert curves(server.rows[CELL]) == local_rows(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("failure", FAILURES)
def test_a_study_that_outlasts_a_failing_server_is_written_offline(server, run, fakes, tmp_path, failure):
    server.behaviour = failure
    wandb = tmp_path / "study" / "wandb"

    def fit(cell, preset, recordings, split, **options):
        fakes.write_epoch(cell, 1, options["on_epoch"])
        wait_until(lambda: "writing offline" in (wandb / "mirror.log").read_text())
        fakes.quick(cell, preset, recordings, split, **options)

    assert len(run(fit, **ASKED).done) == 1
    (path,) = wandb.glob("offline-run-*/*.wandb")
    history = [items(content.item) for kind, content in read_records(path) if kind == "history"]
    rows = [{name: json.loads(value) for name, value in row.items()} for row in history]
    assert curves(rows) == local_rows(tmp_path)
