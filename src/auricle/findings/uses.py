"""What was found out about the finished cells of a study, summed up a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auricle.insight.record import Answers, Blanked, Insight, key_of, read_insight
from auricle.report.effects import Effect, adjusted, effect
from auricle.report.evidence import Study
from auricle.runs import CellName, StudyFolder

Pick = Callable[[Insight], Answers]


@dataclass(frozen=True, eq=False)
class ModelInsight:
    """What is known of a model.

    Attributes:
        cells: that were looked into.
        insights: one a cell.
    """

    cells: tuple[CellName, ...]
    insights: tuple[Insight, ...]

    @property
    def clips(self) -> set[str]:
        """Return the names of the clips that were asked about."""
        return {clip for insight in self.insights for clip in insight.clips}

    def common(self, name: str) -> bool:
        """Return whether every cell knows a change."""
        return all(name in insight.changes for insight in self.insights)

    def cost(self, changed: Pick, groups: Mapping[str, str]) -> Effect:
        """Return what a change costs in accuracy: the share of right answers as it is, less that with the change.

        Args:
            changed: what a cell says then.
            groups: clip to group.
        """
        return effect(self._lost(lambda insight, answers: answers.classes == insight.labels, changed), groups)

    def drop(self, changed: Pick, groups: Mapping[str, str]) -> Effect:
        """Return by how much the probability of the true class falls with a change; arguments as `cost`."""
        return effect(self._lost(lambda insight, answers: answers.truth, changed), groups)

    def _lost(self, value: Callable[[Insight, Answers], np.ndarray], changed: Pick) -> dict[str, float]:
        """Return clip to the mean over cells of a value as it is, less that with a change."""
        found: dict[str, list[float]] = {}
        for insight in self.insights:
            differences = value(insight, insight.plain).astype(float) - value(insight, changed(insight)).astype(float)
            for clip, difference in zip(insight.clips, differences.tolist(), strict=True):
                found.setdefault(clip, []).append(difference)
        return {clip: float(np.mean(values)) for clip, values in found.items()}

    def drop_by_class(self, of: Callable[[Insight], Blanked], num_classes: int) -> np.ndarray:
        """Return by how much the probability of the true class falls, by class and part, means over clips, (K, P).

        A class without clips has NaN.
        """
        labels = np.concatenate([insight.labels for insight in self.insights])
        drops = [insight.plain.truth - np.array([p.truth for p in of(insight).parts]) for insight in self.insights]
        drop = np.concatenate(drops, axis=1)  # (P, clips of all cells)
        means = [
            drop[:, labels == label].mean(axis=1) if (labels == label).any() else np.full(len(drop), np.nan)
            for label in range(num_classes)
        ]
        return np.array(means)

    def by_loudness(self) -> list[Pick]:
        """Return what a cell says when the loudest moment of each clip is blanked, the second loudest, and so on."""

        def blanked(rank: int) -> Pick:
            def pick(insight: Insight) -> Answers:
                moment = np.argsort(-insight.loudness, axis=1, kind="stable")[:, rank]
                clip = np.arange(len(moment))
                classes = np.array([part.classes for part in insight.moments.parts])[moment, clip]
                truth = np.array([part.truth for part in insight.moments.parts])[moment, clip]
                return Answers(classes, truth)

            return pick

        return [blanked(rank) for rank in range(len(self.insights[0].moments.parts))]


def insights_of(study: Study, protocol: str) -> dict[str, ModelInsight]:
    """Return what is known of the models under a protocol, in the order of the study; one that is stale is not."""
    place = StudyFolder(study.folder)
    found = {}
    for model in study.models:
        known = {}
        for cell in study.of(model, protocol):
            insight = read_insight(place.insight(cell.name), _key(place, cell.name, study.dataset.digest))
            if insight is not None and _fits(insight, study, set(cell.clips.clips)):
                known[cell.name] = insight
        if known:
            found[model] = ModelInsight(tuple(known), tuple(known.values()))
    return found


def _key(place: StudyFolder, name: CellName, digest: str) -> str | None:
    """Return what an insight must have been made from; None, which is anything, where the weights are gone."""
    try:
        return key_of(place.cell(name), digest)
    except OSError:
        return None


def _fits(insight: Insight, study: Study, clips: set[str]) -> bool:
    return set(insight.clips) <= clips and int(insight.labels.max()) < len(study.dataset.categories)


def costs(
    known: Mapping[str, ModelInsight], groups: Mapping[str, str], changes: Sequence[str]
) -> dict[str, dict[str, Effect]]:
    """Return change to model to what it costs in accuracy, tests adjusted for the number of all of them."""
    raw = {
        (change, model): of_model.cost(lambda insight, change=change: insight.changes[change], groups)  # type: ignore[misc]
        for change in changes
        for model, of_model in known.items()
        if of_model.common(change)
    }
    table: dict[str, dict[str, Effect]] = {}
    for (change, model), one in adjusted(raw).items():
        table.setdefault(change, {})[model] = one
    return table
