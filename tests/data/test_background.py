"""A class named background is taken as such, said in one line, and there is one at most."""

import numpy as np
import pytest

from auricle.audit.classes import name_findings
from auricle.data.datasets import load_manifest, survey
from auricle.data.folds import make_splits
from auricle.errors import RefusedError


def test_what_is_taken_as_background_is_said_by_a_check_and_by_a_study(class_folders):
    (class_folders / "bell").rename(class_folders / "None")
    for notes in (survey(str(class_folders)).manifest.notes, load_manifest(str(class_folders)).notes):
        assert [note for note in notes if "background" in note] == [
            "The class 'None' is used as background (sounds of no class): "
            "accuracy is of the other classes, and false alarms are counted per hour of it."
        ]


def test_two_classes_of_background_are_refused(class_folders):
    (class_folders / "bell").rename(class_folders / "Background")
    (class_folders / "cat").rename(class_folders / "none")
    with pytest.raises(
        RefusedError, match="several background classes, 'Background' and 'none'; give them the same name"
    ):
        load_manifest(str(class_folders))
    assert [finding.kind for finding in name_findings({"Background": 9, "none": 9})] == ["two-backgrounds"]


def test_a_fold_of_background_alone_is_refused_as_nothing_is_left_to_score(make_manifest):
    classes = [(name, fold, f"{name}{fold}") for name in ("cat", "dog") for fold in (1, 2, 3)]
    background = [("background", fold, f"none{fold}") for fold in (1, 2, 3, 4)]
    with pytest.raises(RefusedError, match="in official, fold 4, only clips of 'background' are left to score"):
        make_splits(make_manifest(*classes, *background), "official")
    labels = make_manifest(*classes, *background[:3])
    assert all(np.any(labels.labels[split.test]) for split in make_splits(labels, "official"))
