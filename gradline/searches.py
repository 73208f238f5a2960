"""A search on its way: which settings come next, and what became of them.

A grid and random draws go in blocks, so that trials scored from states share their
products; what Optuna draws goes one after the other, each knowing those before it.
Settings that come to the same are one trial of a grid or of random draws, which end
when there are no others; Optuna may draw one again, and is told what it came to.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gradline.bar import bar_for
from gradline.boards import Board, Outcome
from gradline.data import Progress
from gradline.effects import descends, given, idle
from gradline.errors import UsageError
from gradline.sides import is_closed
from gradline.spaces import Space, draw, grid, same, settings_of
from gradline.studies import Study
from gradline.trials import Trial, TrialStatus

#: What the bar of a search is called; the passes of reading have other titles.
TITLE = "trials"

#: So many trials are scored from states at once.
BLOCK = 256

#: A trial that may be given up is tried for these shares of its epochs first.
RUNGS = (9, 3)


class Planned(NamedTuple):
    """A trial before it is tried.

    settings: the searched values; call: the arguments of fit that have an effect, and
    are not its defaults; shown: the searched values among them; key: what trials share
    that come to the same.
    """

    settings: dict[str, Any]
    call: dict[str, Any]
    shown: dict[str, Any]
    key: Any


class Plan:
    """Which settings are to be tried, in which order.

    Args:
        space: what is searched.
        fixed: what is the same in all trials.
        method: grid, random or optuna.
        trials: how many, unless it is a grid.
        seed: of draws.
    """

    def __init__(
        self,
        space: Space,
        fixed: dict[str, Any],
        method: str,
        trials: int,
        seed: int,
    ) -> None:
        self.space, self.fixed, self.method, self.seed = space, fixed, method, seed
        self._list: list[dict[str, Any]] = []
        if method == "grid":
            self._list = self._different(grid(space))
        self._refuse_idle()
        if method == "random":
            self._list = self._random(trials)
        self.trials = trials if method == "optuna" else len(self._list)
        #: Whether there are fewer settings than were to be drawn.
        self.exhausted = method == "random" and self.trials < trials

    @property
    def closed(self) -> bool:
        """Whether some of the first trials are scored from a state."""
        probes = self._list or [draw(self.space, self.seed, n) for n in range(PROBES)]
        return any(is_closed(self.planned(found).call) for found in probes[:PROBES])

    def settings(self, number: int) -> dict[str, Any]:
        """The searched values of a trial of a grid or a random search."""
        return self._list[number]

    def planned(self, settings: dict[str, Any]) -> Planned:
        """What becomes of the searched values of a trial."""
        whole = self.fixed | settings
        none = idle(whole)
        call = given({n: v for n, v in whole.items() if n not in none})
        own = "seed" in call or "start" in call
        if self.seed and not own and descends(call):
            call["seed"] = self.seed  # which would make a descent of another fit
        shown = {n: v for n, v in settings.items() if n not in none}
        return Planned(settings, call, shown, same(dict(sorted(call.items()))))

    def _different(
        self, found: Iterable[dict[str, Any]], most: int | None = None
    ) -> list[dict[str, Any]]:
        """Those that do not come to the same, in their order, `most` at the most."""
        different: dict[Any, dict[str, Any]] = {}
        for settings in found:
            if most is not None and len(different) >= most:
                break
            different.setdefault(self.planned(settings).key, settings)
        return [*different.values()]

    def _random(self, most: int) -> list[dict[str, Any]]:
        """Draws that do not come to the same; which come first depends on no count.

        Few settings are all found; of many, draws end when so many bring none anew.
        """
        few = settings_of(self.space)
        if few is not None:  # shuffled by the seed, they are draws without repetition
            order = np.random.default_rng([self.seed]).permutation(len(few))
            return self._different((few[k] for k in order), most)
        found: dict[Any, dict[str, Any]] = {}
        number = last = 0
        while len(found) < most and number - last < PROBES + len(found):
            settings = draw(self.space, self.seed, number)
            if found.setdefault(self.planned(settings).key, settings) is settings:
                last = number
            number += 1
        return [*found.values()]

    def _refuse_idle(self) -> None:
        """Refuse what has no effect in any trial."""
        tried = self._list or [draw(self.space, 0, n) for n in range(PROBES)]
        names = {*self.space, *given(self.fixed)}
        for settings in tried:
            whole = self.fixed | settings
            names -= whole.keys() - idle(whole)
            if not names:
                return
        name = min(names)
        if name == "folds" and "alpha" in {*self.space, *given(self.fixed)}:
            raise UsageError(
                "folds is for choosing an alpha by cross-validation within each trial, "
                "and alpha is searched or given: leave folds out, or leave alpha out "
                "and search something else"
            )
        how = "searched" if name in self.space else "given"
        raise UsageError(
            f"{name} is {how} and has no effect in any trial: leave it out, or give "
            f"what it goes with ({_GOES_WITH.get(name, 'a descent: lr or epochs')})"
        )


#: So many draws show whether an argument ever has an effect.
PROBES = 200

_GOES_WITH = {
    "alpha": "penalty='ridge'",
    "folds": "penalty='ridge'",
    "l1_ratio": "penalty='elastic_net'",
    "dampening": "momentum",
    "nesterov": "momentum",
    "momentum": "a descent by SGD",
}


class Run:
    """A search on its way: what is finished, and what became of it."""

    def __init__(
        self,
        plan: Plan,
        board: Board,
        score: str,
        timeout: float | None,
        prune: bool,
    ) -> None:
        self.plan, self.board, self.score = plan, board, score
        self.trials: dict[int, Trial] = {}
        self.interrupted = False
        self.seconds = 0.0
        self.stopped = False
        self._timeout = timeout
        self._prune = prune
        self._known: dict[Any, Outcome] = {}
        self._planned: dict[int, Planned] = {}
        self._study: Study | None = None

    def keep(self, storage: str | None, name: str, asked: dict[str, Any]) -> None:
        """Keep the trials in a study; take in those that it has already."""
        study = Study(self.plan.space, self.score, storage, name, asked)
        self._study = study
        for settings, record in study.finished():
            number = record["number"]
            planned = self.plan.planned(settings)
            self.trials[number] = Trial(**(record | {"params": planned.shown}))
            self._planned[number] = planned

    def call(self, trial: Trial) -> dict[str, Any]:
        """The arguments of fit of a trial."""
        return dict(self._planned[trial.number].call)

    def go(self, progress: Progress | None) -> None:
        """Try what is left, until done, out of time or stopped by Ctrl-C."""
        began = time.monotonic()
        left = self.plan.trials - len(self.trials)
        shown = bar_for(progress if left > 0 else None, TITLE, left, " trials")
        turn = self._drawn() if self.plan.method == "optuna" else self._blocks()
        try:
            with shown as advance:
                for _ in turn:
                    advance(1)
                    late = time.monotonic() - began
                    if self._timeout is not None and late > self._timeout:
                        self.stopped = len(self.trials) < self.plan.trials
                        break
        except KeyboardInterrupt:
            self.interrupted = True
            if not any(t.status == "ok" for t in self.trials.values()):
                raise
        finally:
            self.seconds = time.monotonic() - began

    def _blocks(self) -> Iterator[Trial]:
        """A grid, or random draws: what is closed goes in blocks."""
        left = [n for n in range(self.plan.trials) if n not in self.trials]
        for start in range(0, len(left), BLOCK):
            block = left[start : start + BLOCK]
            places: dict[Any, list[int]] = {}
            for number in block:
                planned = self.plan.planned(self.plan.settings(number))
                self._planned[number] = planned
                places.setdefault(planned.key, []).append(number)
            new = [key for key in places if key not in self._known]
            for key in places.keys() & self._known.keys():
                yield from self._finish(places[key], self._known[key])
            calls = [self._planned[places[key][0]].call for key in new]
            for place, outcome in self.board.outcomes(calls):
                self._known[new[place]] = outcome
                yield from self._finish(places[new[place]], outcome)

    def _finish(self, numbers: list[int], outcome: Outcome) -> Iterator[Trial]:
        for number in numbers:
            trial = self._taken(number, outcome)
            if self._study is not None:
                self._study.add(self._planned[number].settings, trial)
            yield trial

    def _drawn(self) -> Iterator[Trial]:
        """What Optuna asks for, one after the other."""
        assert self._study is not None
        while len(self.trials) < self.plan.trials:
            number = len(self.trials)
            asked, settings = self._study.ask(self.plan.seed, number)
            self._planned[number] = planned = self.plan.planned(settings)
            key = planned.key
            try:
                if key not in self._known:
                    self._known[key] = self._tried(asked, planned.call)
                trial = self._taken(number, self._known[key])
                self._study.tell(asked, trial)
            except BaseException:
                self.trials.pop(number, None)
                self._study.drop(asked)
                raise
            yield trial

    def _tried(self, asked: Any, call: dict[str, Any]) -> Outcome:
        """How a trial ends; it may be given up on the way."""
        seconds = 0.0
        for rung, epochs in enumerate(rungs(call) if self._prune else ()):
            ((_, found),) = self.board.outcomes([call | {"epochs": epochs}])
            seconds += found.seconds
            if found.validation is None:
                return replace(found, seconds=seconds)
            value = found.validation[self.score]
            assert self._study is not None
            if self._study.is_worse(asked, rung, value):
                reason = (
                    f"after {epochs:,} of {call['epochs']:,} epochs its validation "
                    f"{self.score} of {value:.6g} was worse than most"
                )
                return Outcome(
                    None, None, reason, pruned=True, epochs=epochs, seconds=seconds
                )
        ((_, found),) = self.board.outcomes([call])
        return replace(found, seconds=seconds + found.seconds)

    def _taken(self, number: int, outcome: Outcome) -> Trial:
        """A trial that has just ended, among the others."""
        found, train = outcome.validation, outcome.train
        score = None if found is None else found[self.score]
        reason = outcome.reason
        status: TrialStatus = "pruned" if outcome.pruned else "failed"
        if score is not None:
            status = "ok"
        if score is not None and not np.isfinite(score):
            status, reason = "failed", f"its {self.score} is {score}"
            score = None
        trial = Trial(
            number,
            self._planned[number].shown,
            score,
            None if train is None or score is None else train[self.score],
            status,
            reason,
            outcome.epochs,
            outcome.seconds,
        )
        self.trials[number] = trial
        return trial


def rungs(call: dict[str, Any]) -> list[int]:
    """After how many epochs a trial is looked at on its way; never if it is cheap."""
    epochs = call.get("epochs")
    if is_closed(call) or epochs is None or "early_stopping" in call:
        return []
    return [epochs // share for share in RUNGS if epochs >= max(RUNGS)]
