"""Start, end and retry the trials of a search, so that every trial ends in a known state, whichever process dies.

A trial whose worker dies has failed, and its set of values is queued again, once. If the whole search is stopped or
dies, its trials are queued again by the next run. If several machines share a storage, each search regularly writes a
heartbeat there; if that has not changed for two minutes, the search is dead, and the others take over its trials.
"""

import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, Trial, TrialState

from auricle.search.record import Entry
from auricle.search.space import MODEL, Choices, Parameter, Space, Value
from auricle.search.storage import TrialStorage, make_pruner, make_sampler, open_storage, storage_errors, trials_in

HEARTBEAT_S = 20.0  # interval of heartbeats
DEAD_S = 120.0  # without a heartbeat, a search is dead
MAX_TRIES = 2  # attempts at a set of values whose worker dies
ENDINGS = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


@dataclass(frozen=True)
class Begun:
    """A trial in training."""

    number: int
    trial_id: int  # its id in the storage, which other searches share
    values: Mapping[str, Value]
    folder: int  # the number in the name of its cells; that of the first attempt, if it is a retry
    tries: int  # how often its set of values was started, this time included


class Trials:
    """The trials of one search, as seen and managed by one process.

    `owner` names this folder on this machine, and is unique while the folder is locked. If trials are `shared`, other
    machines may work on them.
    """

    def __init__(
        self,
        space: Space,
        storage: TrialStorage,
        owner: str,
        *,
        shared: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.space = space
        self.storage = storage
        self.owner = owner
        self.shared = shared
        self.clock = clock
        self.held: dict[int, Begun] = {}
        self.pruner = make_pruner(space)
        opened = open_storage(storage)
        # without the sampler: a grid sampler cannot be told that a trial has ended
        self._book = trials_in(opened, storage)
        num_before = len(self._all())
        seed = (space.config.seed + num_before + (zlib.crc32(owner.encode()) if shared else 0)) % 2**32
        self._asked = trials_in(opened, storage, make_sampler(space, seed), self.pruner)
        self._heartbeats: dict[str, tuple[Any, float]] = {}
        self._last_heartbeat_s = -HEARTBEAT_S
        self.tick()

    def next(self) -> Begun | None:
        """Start the next trial, queued ones first; None if all are started."""
        with storage_errors(self.storage):
            trials = self._all()
            if num_sets(trials) >= self.space.num_trials and not _of(trials, TrialState.WAITING):
                return None
            trial = self._asked.ask()
            trial.set_user_attr("owner", self.owner)
            num_begun = num_sets(each for each in self._all() if each.number <= trial.number)
            if "folder" not in trial.user_attrs and num_begun > self.space.num_trials:
                self._fail(trial, "surplus", "another process had started the last trial")
                return None
            values = self._values(trial)
            folder, tries = trial.user_attrs.get("folder", trial.number), trial.user_attrs.get("tries", 1)
            begun = Begun(trial.number, trial._trial_id, values, folder, tries)
        self.held[begun.number] = begun
        return begun

    def _values(self, trial: Trial) -> dict[str, Value]:
        """Return the values of a trial; those that it does not have yet are drawn."""
        return {name: _suggest(trial, name, each) for name, each in self._parameters(trial)}

    def _parameters(self, trial: Trial) -> Iterable[tuple[str, Parameter]]:
        """Yield the parameters of a trial, the model first, as the others depend on it."""
        if len(self.space.presets) > 1:
            yield MODEL, self.space.parameters[MODEL]
        model = trial.params.get(MODEL, next(iter(self.space.presets)))
        yield from self.space.parameters_of(model).items()

    def end(self, begun: Begun, ended: str, cause: str = "", loss: float | None = None, **facts: Any) -> None:
        """End a trial as done, failed or pruned; a pruned one tells the sampler that its values are bad."""
        with storage_errors(self.storage):
            trial, facts = Trial(self._book, begun.trial_id), {"ended": ended, "cause": cause, **facts}
            self._finish(trial, ENDINGS[ended], facts, loss)
        self.held.pop(begun.number, None)

    def _finish(self, trial: Trial, state: TrialState, facts: Mapping[str, Any], loss: float | None = None) -> None:
        for name, value in facts.items():
            trial.set_user_attr(name, value)
        self._book.tell(trial.number, loss, state, skip_if_finished=True)

    def died(self, begun: Begun, cause: str) -> None:
        """Fail a trial whose worker died, and queue its set of values again unless that was a retry."""
        with storage_errors(self.storage):
            self._give_back(begun.number, cause, again=begun.tries < MAX_TRIES, tries=begun.tries + 1)
        self.held.pop(begun.number, None)

    def stop(self) -> None:
        """Queue the trials in training again, for the next run or for other machines."""
        with storage_errors(self.storage):
            for number in list(self.held):
                self._give_back(number, "the search was stopped", again=True)
                del self.held[number]

    def tick(self) -> None:
        """Write a heartbeat, and queue the trials of dead searches again."""
        with storage_errors(self.storage):
            if self.shared and self.clock() - self._last_heartbeat_s >= HEARTBEAT_S:
                self._last_heartbeat_s = self.clock()
                self._book.set_user_attr(f"pulse {self.owner}", time.time())
            for trial in _of(self._all(), TrialState.RUNNING):
                if trial.number not in self.held and self._is_dead(trial):
                    self._give_back(trial.number, "its search was stopped or died", again=True)

    def _is_dead(self, trial: FrozenTrial) -> bool:
        """Return whether nobody trains a trial any more: its owner's heartbeat has not changed for too long."""
        owner = trial.user_attrs.get("owner")
        if not self.shared or owner == self.owner:
            return True
        key = owner or f"trial {trial.number}"
        heartbeat = self._book.user_attrs.get(f"pulse {owner}")
        before, since_s = self._heartbeats.get(key, (object(), 0.0))
        if heartbeat != before:
            self._heartbeats[key] = (heartbeat, self.clock())
            return False
        return self.clock() - since_s >= DEAD_S

    def _give_back(self, number: int, cause: str, *, again: bool, tries: int | None = None) -> None:
        """Fail a trial, after queueing its set of values again; if killed in between, the next run does the rest."""
        trials = self._all()
        old = trials[number]
        if old.state.is_finished():
            return
        queued = any(trial.user_attrs.get("retry_of") == number for trial in trials)
        if again and not queued:
            facts = old.user_attrs
            now = {"folder": facts.get("folder", number), "tries": tries or facts.get("tries", 1)}
            values = self._values(Trial(self._asked, old._trial_id))  # killed early, it lacks some: a grid needs all
            self._book.enqueue_trial(values, user_attrs={"retry_of": number, **now})
        self._fail(Trial(self._book, old._trial_id), "again" if again else "failed", cause)

    def _fail(self, trial: Trial, ended: str, cause: str) -> None:
        self._finish(trial, TrialState.FAIL, {"ended": ended, "cause": cause})

    def over(self) -> bool:
        """Return whether every trial has ended, here and on other machines."""
        with storage_errors(self.storage):
            trials = self._all()
        return num_sets(trials) >= self.space.num_trials and all(trial.state.is_finished() for trial in trials)

    def entries(self) -> list[Entry]:
        """Return every trial for the record, except those that were queued again."""
        with storage_errors(self.storage):
            return [_entry(trial) for trial in self._all() if not _given_back(trial)]

    def importance(self) -> dict[str, float]:
        """Return the importance of parameters (PED-ANOVA, arXiv:2304.10255), largest first; empty below 4 trials."""
        with storage_errors(self.storage):
            if len(_of(self._all(), TrialState.COMPLETE)) < 4:
                return {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of parameters that few trials have
                return {name: float(share) for name, share in get_param_importances(self._book).items()}

    def _all(self) -> Sequence[FrozenTrial]:
        return self._book.get_trials(deepcopy=False)


def _suggest(trial: Trial, name: str, parameter: Parameter) -> Value:
    if isinstance(parameter, Choices):
        return trial.suggest_categorical(name, parameter.values)
    if parameter.whole:
        return trial.suggest_int(name, int(parameter.low), int(parameter.high), log=parameter.log)
    return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)


def num_sets(trials: Iterable[FrozenTrial]) -> int:
    """Count the sets of values that were started or are queued, each once however often it was tried."""
    return sum(not _given_back(trial) for trial in trials)


def _given_back(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() and trial.user_attrs.get("ended") in ("again", "surplus")


def _of(trials: Sequence[FrozenTrial], state: TrialState) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state == state]


def _entry(trial: FrozenTrial) -> Entry:
    """Return a trial for the record: number, state, values, loss, accuracy, accuracies of the folds and so on."""
    facts = trial.user_attrs
    state = facts.get("ended", "failed") if trial.state.is_finished() else trial.state.name.lower()
    return {
        "number": trial.number,
        "folder": facts.get("folder", trial.number),
        "state": state,
        "values": dict(trial.params or trial.system_attrs.get("fixed_params", {})),
        "loss": trial.value,
        **{name: facts.get(name) for name in ("accuracy", "accuracies", "epochs", "seconds", "cause")},
    }
