import pytest

from auricle.config import load_preset
from auricle.errors import MachineError
from auricle.model.describe import describe
from auricle.runs.plan import num_epochs, windows_per_epoch
from auricle.study import estimate as estimates
from auricle.study.estimate import Measured, ModelWork, estimate_costs, estimate_memory, measure
from auricle.study.study import run_study
from auricle.system import free_bytes
from auricle.work.options import RunOptions


def work(name: str, num_cells: int = 1, **training: object) -> ModelWork:
    preset = load_preset(name, {f"training.{field}": value for field, value in training.items()})
    return ModelWork(preset, describe(preset, 10, 5.0), num_cells, 240, 400, 10, 5.0)


def ask(*works: ModelWork, num_workers: int = 1) -> tuple[list, list]:
    said = []
    options = {"device": "cpu", "num_workers": num_workers, "threads": 1, "doing": said.append}
    return estimate_costs(works, **options), said


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Models that were measured, by a stand-in that says a second a step and 3 GB."""
    asked = []

    def stand_in(work: ModelWork, **options: object) -> Measured:
        asked.append(work.preset.name)
        return Measured(1.0, 3e9)

    monkeypatch.setattr(estimates, "measure", stand_in)
    return asked


def test_a_grid_is_all_of_its_windows_and_random_places_are_as_many_as_views() -> None:
    assert windows_per_epoch(load_preset("report-c-cnn"), 240, 5.0) == 240 * 9
    assert windows_per_epoch(load_preset("report-b-cnn"), 240, 5.0) == 240
    assert windows_per_epoch(load_preset("cnn", {"training.views": 3}), 240, 5.0) == 240 * 3


def test_a_short_study_is_not_measured(steps: list[str]) -> None:
    (short,), said = ask(work("cnn", epochs=1))
    assert steps == said == []
    assert short.step_s is None
    assert (short.parameters, short.num_cells) == (describe(load_preset("cnn"), 10, 5.0)["parameters"], 1)


def test_quickstart_starts_at_once(steps: list[str]) -> None:
    from auricle.config import load_study
    from auricle.study.plan import resolve_presets

    presets = resolve_presets(load_study("quickstart")).values()
    ask(*(ModelWork(preset, describe(preset, 10, 2.0), 5, 120, 200, 10, 2.0) for preset in presets))
    assert not steps


def test_a_long_study_is_measured_once_for_models_that_cost_the_same(steps: list[str]) -> None:
    names = ["report-c-cnn", "report-c-transformer-h1", "report-c-transformer-h2", "report-c-transformer-h4"]
    found, said = ask(*(work(name, 5) for name in names))
    assert steps == names[:2]
    assert said == [f"measuring two steps of {name}" for name in names[:2]]
    assert [each.step_s for each in found] == [1.0] * 4


def test_the_time_of_a_cell_is_its_steps_and_a_curve(steps: list[str]) -> None:
    (found,), _ = ask(work("report-c-cnn"))
    assert found.cell_s == pytest.approx(100 * (2160 / 32 + 400 / 32 / 3))


def test_steps_end_a_training_and_its_time(steps: list[str]) -> None:
    (found,), _ = ask(work("report-c-cnn", max_steps=2000))
    assert found.cell_s == pytest.approx(2000 + 30 * 400 / 32 / 3)


@pytest.mark.parametrize(
    ("name", "max_steps", "epochs"),
    [
        ("cnn", None, 100),
        ("cnn", 90, 2),
        ("cnn", 91, 3),
        ("cnn", 10**6, 100),
        ("report-c-cnn", 68, 1),
        ("report-c-cnn", 69, 2),
    ],
)
def test_steps_say_how_many_epochs_a_training_goes_through(name, max_steps, epochs):
    """240 clips: 45 whole batches of six views each; or nine windows of each clip, 68 batches, the last one smaller."""
    preset = load_preset(name, {"training.max_steps": max_steps})
    assert num_epochs(preset, 240, 5.0) == epochs


def test_memory_is_that_of_the_steps_the_data_and_a_checkpoint(steps: list[str]) -> None:
    (found,), _ = ask(work("report-d-transformer-h1"))
    adam, recordings = 3 * 4 * 48_467_594, 2 * 400 * 80_000 * 4
    assert found.memory_gb == pytest.approx((3e9 + adam + recordings) / 1e9)


def test_too_little_memory_is_said_with_the_need(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "free_bytes", lambda: 1e9)
    with pytest.raises(
        MachineError, match=r"report-d-transformer-h1 needs about \d\.\d GB of memory, but only 1\.0 GB are"
    ):
        ask(work("cnn"), work("report-d-transformer-h1"))
    assert MachineError.exit_code == 5
    assert not steps  # before anything is built


def test_on_a_cluster_the_largest_node_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "free_bytes", lambda: 1e9)
    needs = estimate_memory([work("cnn"), work("report-d-transformer-h1")], 64e9)
    assert list(needs) == ["cnn", "report-d-transformer-h1"]
    assert 1e9 < needs["report-d-transformer-h1"] < 64e9
    with pytest.raises(
        MachineError, match=r"report-d-transformer-h1 needs .*, but the largest node of the cluster has 1"
    ):
        estimate_memory([work("cnn"), work("report-d-transformer-h1")], 1e9)


def test_of_many_clips_a_model_that_does_not_fit_is_refused_before_they_are_decoded(
    config, recorder, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("auricle.data.cache.LARGE_BYTES", 0)
    monkeypatch.setattr(estimates, "free_bytes", lambda: 1e8)
    with pytest.raises(MachineError, match=r"transformer-h2 needs about 0\.\d GB of memory, but only 0\.1 GB are free"):
        run_study(config, tmp_path / "study", RunOptions(device="cpu"), listener=recorder)
    assert not (tmp_path / "cache").exists()


def test_trainings_at_a_time_must_fit_together(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "free_bytes", lambda: 8e9)
    assert ask(work("report-d-cnn", 4))
    with pytest.raises(MachineError, match=r"4 trainings in parallel need 1\d\.\d GB: lower --workers"):
        ask(work("report-d-cnn", 4), num_workers=4)


def test_measured_steps_take_time_and_memory_of_a_process_of_their_own() -> None:
    found = measure(work("report-a-cnn"), device="cpu", threads=1)
    assert found.step_s > 0
    assert 1e8 < found.peak_bytes < 3e9


def test_a_process_that_is_killed_while_measured_is_too_little_memory(monkeypatch: pytest.MonkeyPatch, fakes) -> None:
    monkeypatch.setattr(estimates, "_take_steps", fakes.is_killed_in_a_step)
    with pytest.raises(MachineError, match=r"three test steps of cnn were killed, .*; it needs at least 0\.\d GB"):
        measure(work("cnn"), device="cpu", threads=1)


def test_free_memory_is_some_or_unknown() -> None:
    assert 0 < free_bytes() < 1e14
