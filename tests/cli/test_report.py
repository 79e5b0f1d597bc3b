"""The command `report`, with stand-ins for what looks into models and what writes the report."""

from pathlib import Path

import pytest


@pytest.fixture
def calls(monkeypatch, tmp_path) -> list[tuple]:
    """What was called, in order."""
    seen: list[tuple] = []

    def probe_study(folder, *, source, root, on_progress):
        seen.append(("probe", folder))
        on_progress("probing cnn/k-fold-2-0", 0, 1)
        return ["what cnn uses is not measured: no recordings"]

    def build_report(folder, front, *, on_progress, await_errors_page):
        seen.append(("build", folder))
        return {"html": folder / "report.html"}

    monkeypatch.setattr("auricle.api.reporting.probe_study", probe_study)
    monkeypatch.setattr("auricle.api.reporting.load_study", lambda folder: folder)
    monkeypatch.setattr("auricle.api.reporting.takes_long", lambda evidence: False)
    monkeypatch.setattr("auricle.api.reporting.build_errors_page", lambda folder, **_: seen.append(("hear", folder)))
    monkeypatch.setattr("auricle.api.reporting.build_report", build_report)
    (tmp_path / "mine").mkdir()
    return seen


def test_a_report_probes_the_models_first_and_says_what_it_could_not(auricle, calls):
    answer = auricle("report", "mine")
    assert answer.code == 0
    assert calls == [("probe", Path("mine")), ("hear", Path("mine")), ("build", Path("mine"))]
    assert answer.out == "mine/report.html\n"
    assert answer.err.splitlines() == [
        "probing cnn/k-fold-2-0 (1 of 1)", "reading the study", "auricle: what cnn uses is not measured: no recordings",
    ]  # fmt: skip


def test_no_probes_leaves_the_models_alone(auricle, calls):
    assert auricle("report", "mine", "--no-probes").code == 0
    assert calls == [("hear", Path("mine")), ("build", Path("mine"))]


def test_a_quiet_report_prints_its_files_only(auricle, calls):
    answer = auricle("-q", "report", "mine")
    assert (answer.out, answer.err) == ("mine/report.html\n", "")


def test_a_study_ends_with_a_look_into_its_models(auricle, calls, training, sounds):
    words = ("study", "quickstart", "--data", str(sounds), "--models", "cnn", "--protocols", "test-split")
    answer = auricle(*words, "--workers", "1", "--device", "cpu", "--set", "training.epochs=2")
    assert answer.code == 0, answer.err
    assert [call[0] for call in calls] == ["probe", "hear", "build"]
