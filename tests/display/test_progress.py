import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from auricle.display.live import Display
from auricle.display.progress import Lines, Progress
from auricle.runs import CellName


class Clock:
    """A clock that moves when told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def cell(model: str = "cnn", fold: int = 2) -> CellName:
    return CellName(model, "k-fold", fold, 0)


def record(epoch: int, seconds: float = 1.0) -> dict[str, float]:
    return {"epoch": epoch, "seconds": seconds, "train_accuracy": 0.912, "validation_accuracy": 0.8}


def test_nothing_is_estimated_before_the_first_epoch():
    progress = Progress()
    progress.planned({cell(): 10}, 0, 1)
    progress.started(cell())
    assert progress.left_s() is None


def test_the_time_left_is_that_of_the_epochs_left():
    progress = Progress()
    progress.planned({cell(fold=2): 10, cell(fold=3): 10}, 0, 1)
    progress.started(cell(fold=2))
    progress.epoch(cell(fold=2), record(4, seconds=2.0))
    assert progress.left_s() == pytest.approx(6 * 2.0 + 10 * 2.0)


def test_a_cell_waits_for_the_next_free_worker():
    progress = Progress()
    progress.planned({cell(fold=fold): 10 for fold in (2, 3, 4)}, 0, 2)
    for fold in (2, 3):
        progress.started(cell(fold=fold))
    progress.epoch(cell(fold=2), record(8))
    progress.epoch(cell(fold=3), record(4))
    assert progress.left_s() == pytest.approx(2 + 10)


def test_a_model_that_has_not_been_seen_is_taken_for_the_mean_of_the_others():
    progress = Progress()
    progress.planned({cell("cnn"): 10, cell("mlp"): 10}, 0, 1)
    progress.started(cell("cnn"))
    progress.epoch(cell("cnn"), record(10, seconds=3.0))
    progress.done(cell("cnn"))
    assert progress.left_s() == pytest.approx(30)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=30), st.integers(1, 8))
def test_the_time_left_lies_between_an_even_share_and_all_of_the_work(epochs, num_workers):
    progress = Progress()
    progress.planned({cell(fold=fold): num for fold, num in enumerate(epochs)}, 0, num_workers)
    progress.seconds = {"cnn": 1.0}
    left_s = progress.left_s()
    assert sum(epochs) / num_workers <= left_s + 1e-9
    assert max(epochs) <= left_s <= sum(epochs)


def test_a_note_on_the_recordings_is_shown_once():
    said: list[str] = []
    lines = Lines(said.append, 0, Clock())
    for notes in (["Folds were made."], ["Folds were made.", "Clips are 2 s long."]):
        lines.assumed(notes)
    assert said == ["Folds were made.", "Clips are 2 s long."]


def test_lines_tell_each_cell_once_and_what_is_left():
    said: list[str] = []
    clock = Clock()
    lines = Lines(said.append, 0, clock)
    lines.planned({cell(fold=2): 2, cell(fold=3): 2}, 1, 1)
    for fold in (2, 3):
        lines.started(cell(fold=fold))
        for epoch in (1, 2):
            clock.now_s += 60
            lines.epoch(cell(fold=fold), record(epoch, seconds=60))
        lines.done(cell(fold=fold))
    assert said == [
        "2 cells to train; 1 already done",
        "[2/3] cnn/k-fold-2-0   2 min 00 s  train  91.2 %  validation  80.0 %  about 2 min left",
        "[3/3] cnn/k-fold-3-0   2 min 00 s  train  91.2 %  validation  80.0 %",
    ]


def test_a_protocol_without_validation_has_none_in_its_line():
    said: list[str] = []
    lines = Lines(said.append, 0, Clock())
    lines.planned({cell(): 1}, 0, 1)
    lines.started(cell())
    lines.epoch(cell(), {"epoch": 1, "seconds": 1.0, "train_accuracy": 0.5})
    lines.done(cell())
    assert said[-1].endswith("train  50.0 %")


COLLAPSE = {
    "kind": "one-class", "epoch": 10, "cause": "learning rate 0.05 is too high",
    "cures": [["training.learning_rate=0.0005"], ["training.warmup_epochs=5"]], "evidence": {},
}  # fmt: skip


def test_a_collapse_is_told_at_its_epoch_once_a_cell_and_kind_and_a_recovery_too():
    said: list[str] = []
    lines = Lines(said.append, 0, Clock())
    lines.planned({cell(): 30}, 0, 1)
    lines.started(cell())
    lines.epoch(cell(), record(9))
    lines.epoch(cell(), {**record(10), "collapse": COLLAPSE})
    lines.epoch(cell(), {**record(20), "recovered": True})
    lines.epoch(cell(), {**record(25), "collapse": COLLAPSE})
    lines.epoch(cell(), {**record(26), "collapse": {**COLLAPSE, "kind": "constant"}})
    assert said[1:] == [
        "cnn/k-fold-2-0  epoch 10: every clip gets the same prediction; learning rate 0.05 is too high; try --set "
        "training.learning_rate=0.0005",
        "cnn/k-fold-2-0  epoch 20: recovered, better than chance again",
        "cnn/k-fold-2-0  epoch 26: every clip gets the same logits; learning rate 0.05 is too high; try --set "
        "training.learning_rate=0.0005",
    ]


def test_the_display_warns_of_a_collapse_above_the_bar():
    display, file, _ = drawn(color_system=None)
    display.planned({cell(): 30}, 0, 1)
    display.started(cell())
    display.epoch(cell(), {**record(10), "collapse": COLLAPSE})
    assert "! cnn/k-fold-2-0  epoch 10: every clip gets the same prediction" in file.getvalue()


def drawn(width: int = 80, **options) -> tuple[Display, io.StringIO, Console]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, **options)
    return Display("esc10", console, Clock()), file, console


def test_the_display_fits_80_columns_and_shows_each_running_cell():
    display, file, console = drawn(color_system=None)
    display.planned({cell("transformer-h1", fold): 100 for fold in (2, 3, 4)}, 17, 2)
    for fold in (2, 3):
        display.started(cell("transformer-h1", fold))
    display.epoch(cell("transformer-h1", 2), record(34, seconds=60))
    console.print(display.render())
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "17 of 20 cells" in text
    for shown in ("transformer-h1/k-fold-2-0", "34/100", "91.2", "80.0", "66 min", "starting"):
        assert shown in text


def test_the_display_says_what_comes_before_the_first_cell():
    display, file, console = drawn(color_system=None)
    display.decoding(100, 400)
    console.print(display.render())
    assert "decoded 100 of 400 recordings" in file.getvalue()


def test_a_long_cause_does_not_break_the_display():
    display, file, _ = drawn(color_system=None)
    display.planned({cell(): 1}, 0, 1)
    display.started(cell())
    display.failed(cell(), "word " * 100)
    assert max(map(len, file.getvalue().splitlines())) <= 80


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    display, file, _ = drawn()
    display.planned({cell(): 1}, 0, 1)
    display.started(cell())
    display.epoch(cell(), record(1))
    display.done(cell())
    assert "✓" in file.getvalue()
    assert "\x1b[32m" not in file.getvalue()


def test_a_cell_may_end_while_it_is_drawn():
    """Rich draws in a thread of its own: here a cell ends when another one's row is drawn."""
    display = Display("study", Console(file=io.StringIO()))
    display.planned({cell(fold=2): 2, cell(fold=3): 2}, 0, 2)
    for fold in (2, 3):
        display.started(cell(fold=fold))

    class Ending(dict):
        def get(self, *of):
            display.running.pop(cell(fold=3), None)

    display.running[cell(fold=2)].record = Ending()
    display.render()
    assert list(display.running) == [cell(fold=2)]
