import re
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from invented_insights import write_insights

from auricle.findings.study import load_study
from auricle.report.build import build_report
from auricle.report.comparisons import ranking
from auricle.report.differences import class_differences, hardest, leads, shares_right, where_shown
from auricle.report.insights import insights_of
from auricle.report.tables import comparative_rows
from auricle.runs import CellName, StudyFolder

SOUND = {"reversed": 2, "low-pass-4000": 40}
NETWORK = {"positions-shuffled": 0, "even-attention": 30, "block-1-skipped": 3, "encoder-skipped": 60}


@pytest.fixture(scope="module")
def looked_into(make_study) -> Path:
    folder = make_study(models=("cnn", "transformer-h2"), protocols=("k-fold",), epochs=20)
    write_insights(folder, "k-fold", {"cnn": SOUND, "transformer-h2": SOUND | NETWORK})
    return folder


def words_of(folder: Path) -> str:
    """Return every word of the report."""
    html = build_report(folder)["html"].read_text()
    return " ".join(unescape(re.sub(r"<[^>]*>", "", html[html.index("<main>") :])).split())


@pytest.fixture(scope="module")
def words(looked_into) -> str:
    return words_of(looked_into)


def test_each_change_is_told_with_its_cost_and_no_more_than_the_numbers_carry(words):
    assert re.search(r"Clip reversed in time\. No loss that these data can show: cnn 2\.5 points \(", words)
    assert re.search(r"Only below 4 kHz\. It costs: cnn 50\.0 points \(.*?and transformer-h2 50\.0 points \(", words)
    assert re.search(r"Positions shuffled\. No loss that these data can show: transformer-h2 0\.0 points \(", words)
    assert re.search(r"Attention made even\. It costs: transformer-h2 37\.5 points \(", words)
    assert re.search(r"Block 1 skipped\. No loss that these data can show: transformer-h2 3\.8 points \(", words)


def test_attention_is_told_by_block(words):
    assert "Block 1 from 4.5 of 6 tokens, as if evenly; two heads share 0.75 of their attention" in words
    assert re.search(r"Block 2 .*?correlation with loudness −?0\.0\d \(−0\.0\d to 0\.0\d\), none that", words)
    assert "What <cls> of cnn" not in words


def test_costs_are_those_of_the_answers(looked_into):
    known = insights_of(load_study(looked_into), "k-fold")
    one = known["cnn"]
    assert one.cost(lambda insight: insight.changes["low-pass-4000"], {}).mean == pytest.approx(0.5)
    by_rank = [one.drop(pick, {}).mean for pick in one.by_loudness()]
    assert by_rank[0] == pytest.approx(0.8 * 10 / 80)  # the first moment is the loudest
    assert by_rank[1:] == [0] * 9
    drops = one.drop_by_class(lambda insight: insight.bands, 10)
    assert drops.shape == (10, 8)
    assert drops[:, 0].sum() > 0
    assert not drops[:, 1:].any()


def test_a_stale_or_damaged_insight_is_not_shown(make_study):
    folder = make_study(models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=2)
    write_insights(folder, "k-fold", {"cnn": SOUND})
    study, place = load_study(folder), StudyFolder(folder)
    assert len(insights_of(study, "k-fold")["cnn"].cells) == 2
    place.cell(CellName("cnn", "k-fold", 2, 0)).config.write_text("name: cnn")
    place.cell(CellName("cnn", "k-fold", 2, 0)).weights.write_bytes(b"of another training")
    place.insight(CellName("cnn", "k-fold", 3, 0)).write_text("{")
    assert insights_of(study, "k-fold") == {}


def test_what_was_not_measured_is_said_with_how_to(make_study):
    folder = make_study(models=("cnn",), protocols=("k-fold",), num_folds=3, epochs=2)
    assert re.search("This was not measured.*auricle report STUDY --data DIR", words_of(folder))


def test_the_report_of_a_looked_into_study_has_the_figures(looked_into, words):
    figures = {path.name for path in (looked_into / "report" / "figures").glob("*.svg")}
    assert {"missed.svg", "costs.svg", "blanked-bands.svg", "blanked-moments.svg", "blanked-moments-cnn.svg",
            "blanked-bands-transformer-h2.svg", "attention-transformer-h2.svg"} <= figures  # fmt: skip
    assert "attention-cnn.svg" not in figures


def test_clips_and_classes_won_are_named(make_study):
    folder = make_study(models=("cnn", "transformer-h1"), protocols=("k-fold",), epochs=1)
    study = load_study(folder)
    ranked = ranking(comparative_rows(study), "k-fold")
    right = {model: shares_right(study, model, "k-fold") for model in ranked}
    found = class_differences(study, "k-fold", ranked)
    first, second = leads(found)
    more = {clip for clip in right[ranked[0]] if right[ranked[0]][clip] > right[ranked[1]][clip]}
    assert (first.ahead, first.behind) == tuple(ranked)
    assert (second.ahead, second.behind) == tuple(reversed(ranked))
    assert set(first.clips) == more
    total = sum(one.effect.mean * one.effect.clips for one in found) / 80
    means = [np.mean(list(right[model].values())) for model in ranked]
    assert total == pytest.approx(means[0] - means[1])


def test_the_most_missed_clips_come_first():
    right = {"cnn": {"a": 1.0, "b": 0.5, "c": 0.0}, "tiny": {"a": 1.0, "b": 0.75, "c": 0.25}}
    assert hardest(right, 5) == ["c", "b"]
    assert hardest(right, 1) == ["c"]


def test_no_class_is_claimed_where_few_clips_decide(esc10):
    found = class_differences(esc10, "k-fold", list(esc10.models))
    assert where_shown([one for one in found if not one.effect.shown]) == (
        "In no class can these data show a difference between two models."
    )
