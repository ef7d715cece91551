"""The same learner trained in several worlds, plainly and recorded, and compared at every step."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from contextlib import nullcontext
from random import Random
from typing import Any

import torch
from torch import Tensor

import backhand as bh
from backhand.program import Native
from backhand.values import rows_of
from cases.case import copied, everything, same, strided
from drawn.changes import CHANGES, Change
from drawn.networks import Drawer, Learner, seeded

STEPS = 20
ROUNDING = 1e-6
"""How far Native may be from the plain step in float64, relative to a tensor's largest element;
an epsilon of a rule divides roundings by as little as 1e-10."""


WILD = 1e4
"""A loss or a weight that is larger: training has run away, which is no fault."""


KINDS = (
    *("step",) * 8,
    "copy",
    "copy",
    "predict",
    "threads",
    "inference",
    "plainly",
    "many",
    "gradients",
)
"""A plain call of a step, and what may be before or around it, or in place of it."""


class Disagreement(AssertionError):
    """Two worlds differ, or one did what no world may; says the seed and all that was drawn."""


class World:
    """A learner and how it is trained: plainly where there is no engine."""

    def __init__(self, name: str, learner: Learner, engine: Any = None) -> None:
        self.name = name
        self.learner = learner
        self.step = self.prediction = None
        if engine is not None:
            self.step = bh.TrainingStep(learner.network, learner.loss, engine)
            self.prediction = bh.Prediction(learner.network, engine)

    def take(self, input: Any, target: Any, rate: float, plainly: bool = False) -> Tensor:
        """One step; returns the loss before it."""
        if self.step is not None and not plainly:
            return self.step(input, target, rate)
        network, loss = self.learner.network, self.learner.loss
        prediction = network(input)
        value = loss(prediction, target)
        network.backward(loss.backward(prediction, target), rate)
        return value

    def take_many(self, input: Any, target: Any, rates: list[float], rows: int) -> Tensor:
        """As many steps as there are rates, each on the next rows."""
        order = torch.arange(rows * len(rates))
        if self.step is not None:
            return self.step.run(input, target, order, rates, rows)
        parts = zip(order.split(rows), rates, strict=True)
        values = [self.take(rows_of(input, at), rows_of(target, at), rate) for at, rate in parts]
        return torch.stack(values)

    def predict(self, input: Any) -> Any:
        return (self.learner.network.predict if self.prediction is None else self.prediction)(input)

    def copy(self, how: str) -> None:
        """Go on with a copy of everything."""
        learner = self.learner
        parts = (learner.network, learner.loss, self.step, self.prediction)
        made = copy.deepcopy(parts) if how == "deepcopy" else pickle.loads(pickle.dumps(parts))
        learner.network, learner.loss, self.step, self.prediction = made


class Training:
    """One draw under way."""

    def __init__(
        self, seed: int, native: bool, changes: Sequence[Change], kinds: Sequence[str]
    ) -> None:
        self.seed = seed
        self.kinds = kinds
        self.native = native
        self.random = Random(seed)
        self.drawer = Drawer(self.random, exact=native)
        learner = self.drawer.learner()
        self.dtype = torch.float64 if native or self.random.random() < 0.2 else torch.float32
        learner.network.to(self.dtype)
        self.worlds = [World("plain", learner)]
        for engine in (bh.Replay(), Native()) if native else (bh.Replay(),):
            self.worlds.append(World(type(engine).__name__, copy.deepcopy(learner), engine))
        self.changes = changes
        self.told = [str(learner)]
        self.sizes = self.random.sample(
            range(1, 10), 1 if native else self.random.choice((1, 1, 2))
        )

    def run(self) -> None:
        threads = torch.get_num_threads()
        try:
            for step in range(STEPS):
                self.told.append(f"step {step}")
                self.change()
                frozen = self.frozen()
                loss = self.train()
                if not loss <= WILD or self.largest() > WILD:
                    self.told.append("  has left the range of numbers that are worth comparing")
                    break
                self.compare(frozen)
        except Exception as problem:
            raise Disagreement(f"seed {self.seed}: {problem}\n" + "\n".join(self.told)) from problem
        finally:
            torch.set_num_threads(threads)

    def change(self) -> None:
        """What happens between two steps: mostly nothing."""
        if self.random.random() > (0.12 if self.native else 0.25):
            return
        change, seed = self.random.choice(self.changes), self.random.randrange(1 << 30)
        said = []
        for world in self.worlds:
            random = Random(seed)
            said.append(change(world.learner, random, Drawer(random, self.native)))
        self.told.append(f"  {change.__name__}: {said[0]}")
        assert len({each is None for each in said}) == 1
        parameters = self.worlds[0].learner.network.parameters().values()
        self.dtype = next((each.value.dtype for each in parameters), self.dtype)

    def train(self) -> float:
        """A step of one of several kinds, in every world the same; returns its largest loss."""
        random = self.random
        rows, seed = random.choice(self.sizes), random.randrange(1 << 30)
        rate = random.choice((0.0, 0.001, 0.01, 0.03, 0.05))
        kind = random.choice(self.kinds)
        self.told.append(f"  {kind} of {rows} rows, rate {rate}, {self.dtype}")
        steps = random.randint(2, 4) if kind == "many" else 1
        seeded(seed)
        input, target = self.batch(rows * steps)
        before = copied(input), copied(target)
        around = torch.inference_mode if kind == "inference" else nullcontext
        self.between(kind, input, seed)
        values = []
        for world in self.worlds:
            seeded(seed)
            with around():
                if steps > 1:
                    rates = [rate * (i + 1) / steps for i in range(steps)]
                    values.append(world.take_many(input, target, rates, rows))
                else:
                    values.append(world.take(input, target, rate, kind == "plainly"))
        assert same((input, target), before), "a step changed its batch"
        self.expect("the loss", *values)
        return float(values[0].abs().max())

    def between(self, kind: str, input: Tensor, seed: int) -> None:
        """What a step of this kind has before it."""
        random = self.random
        if kind == "copy":
            how = random.choice(("deepcopy", "pickle"))
            those = random.choice((self.worlds, self.worlds[:1], self.worlds[1:2], self.worlds[1:]))
            self.told.append(f"  {how} of {[world.name for world in those]}")
            for world in those:
                world.copy(how)
        elif kind == "predict":
            self.expect("the prediction", *(world.predict(input) for world in self.worlds))
        elif kind == "threads":
            torch.set_num_threads(3 - torch.get_num_threads())
        elif kind == "gradients":
            learner = self.worlds[1].learner
            seeded(seed)
            bh.gradients(learner.network, learner.loss, *learner.batch(3, self.dtype))

    def batch(self, rows: int) -> tuple[Any, Any]:
        """A batch: rows that repeat, that are one row, or that lie apart in memory, at times."""
        input, target = self.worlds[0].learner.batch(rows, self.dtype)
        match self.random.randrange(6):
            case 0:
                again = torch.randint(0, rows, (rows,))
                return rows_of(input, again), rows_of(target, again)
            case 1:
                return strided(input), target
            case 2:
                return input[:1].expand(input.shape), target
        return input, target

    # What must hold.

    def largest(self) -> float:
        """The largest number that the plain world has learnt."""
        parameters = self.worlds[0].learner.network.parameters().values()
        values = [each.value.abs().max() for each in parameters]
        return float(torch.stack([each.double() for each in values]).max()) if values else 0.0

    def frozen(self) -> dict[str, Tensor]:
        """What must not move in the next step: what is frozen, and its rule's state."""
        network = self.worlds[0].learner.network
        found = {}
        for path, each in {**network.parameters(), **network.buffers()}.items():
            if each.frozen:
                found[path] = each.value.clone()
                found |= {f"{path} {k}": v.clone() for k, v in getattr(each, "state", {}).items()}
        return found

    def compare(self, frozen: dict[str, Tensor]) -> None:
        """Every world has learnt the same, nothing frozen has moved, and all is finite."""
        learnt = [everything(world.learner.network) for world in self.worlds]
        plain = learnt[0]
        assert all(each.keys() == plain.keys() for each in learnt)
        for name in plain:
            self.expect(name, *(each[name] for each in learnt))
            assert bool(plain[name].isfinite().all()), f"{name} is not finite"
        for name, tensor in self.frozen().items():
            assert same(tensor, frozen[name]), f"{name} is frozen and has moved"

    def expect(self, what: str, plain: Tensor, *others: Tensor) -> None:
        """Equal bits, or by Native to rounding."""
        for world, other in zip(self.worlds[1:], others, strict=True):
            if same(plain, other):
                continue
            apart = float((plain.double() - other.double()).abs().max())
            by_rounding = ROUNDING * max(1.0, float(plain.abs().max()))
            if world.name != "Native" or not apart <= by_rounding:
                raise AssertionError(f"by {world.name}, {what} is {apart:.3g} off")


def train_all(
    seed: int,
    native: bool = False,
    changes: Sequence[Change] = CHANGES,
    kinds: Sequence[str] = KINDS,
) -> None:
    """Train a drawn learner in every world.

    Args:
        seed: of everything that is drawn.
        native: compare Native with the plain step; else Replay.
        changes: what may be changed between two steps.
        kinds: of steps.

    Raises:
        Disagreement: they differ.
    """
    Training(seed, native, changes, kinds).run()
