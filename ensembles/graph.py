"""The whole ensemble as one ONNX graph: members, their weights, calibration and uncertainty.

Shape symbols: n rows, A answers of all members (models and draws), M members, C classes or 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from errors import TrainingError
from models.base import Model, Task
from models.boosting import TargetScale
from models.exported import Exported
from models.forest import add_forest
from models.graph import DOUBLE, FLOAT, Graph
from models.unseen import Unseen

TINY, NOISE = 1e-30, 1e-3  # as in ensembles.uncertainty
EPS = 1e-12  # as in ensembles.calibration


@dataclass(frozen=True)
class ExportMember:
    """A trial in the ensemble.

    Attributes:
        name: Name of the trial.
        family: Key of its family.
        weight: Its weight; weights sum to 1.
        noise: Variance of its out-of-fold errors (regression; 0 for classes).
        models: Those of its fold models that answer, or the one that was refitted.
        n_shares: In how many shares the draws are divided, see Model.part_of; 0: in as many as there are models.
    """

    name: str
    family: str
    weight: float
    noise: float
    models: tuple[Model, ...]
    n_shares: int = 0

    @property
    def parts(self) -> list[Model]:
        """Its models, each with its part of the draws, see Model.part_of."""
        n_shares = self.n_shares or len(self.models)
        return [model.part_of(index, n_shares) for index, model in enumerate(self.models)]


def build_graph(
    members: Sequence[ExportMember], task: Task, units: TargetScale, calibration: Mapping[str, Any] | None
) -> onnx.ModelProto:
    """The graph of an ensemble.

    Its input `X` are encoded rows, float32 (n, n_features). Its outputs are those of
    ensembles.uncertainty.EnsemblePrediction: mean (n, C), total, aleatoric and epistemic (n,), all float64, and
    members (M, n, C), float32 for classes.

    Args:
        members: What it is made of.
        task: What they were fitted for.
        units: Regression: the graph reckons in these, so that values far from zero keep their digits.
        calibration: See ensembles.calibration, or None.

    Raises: TrainingError: a model holds what no graph can say.
    """
    graph = Graph(len(task.cardinalities))
    exported = [type(m.models[0]).export(m.parts, graph, units) for m in members]
    answers, owner = _answers(graph, exported, task)
    answers = _with_unseen(graph, answers, _unseen(members, exported), task)
    share = np.zeros((len(owner), len(members)))
    share[np.arange(len(owner)), owner] = 1 / np.bincount(owner)[owner]
    weights = np.array([m.weight for m in members]) / sum(m.weight for m in members)
    mix = _Mix(graph, answers, share, weights)
    if task.is_regression:
        noise = sum(
            w * m.noise for w, m, e in zip(weights, members, exported, strict=True) if e.variance is None
        )
        _value(mix, units, noise / units.spread**2, _variance(graph, exported, weights))
    else:
        _classes(mix, calibration, task.n_outputs)
    return graph.model()


@dataclass(frozen=True)
class _Mix:
    """All answers (n, C, A), the share (A, M) of each in its member's own answer, and the weights (M,)."""

    graph: Graph
    answers: str
    share: np.ndarray
    weights: np.ndarray

    @property
    def members(self) -> str:
        """Each member's own answer (n, C, M)."""
        return self.graph.add("MatMul", self.answers, self.share)

    @property
    def mean(self) -> str:
        """Weighted answers (n, C, 1)."""
        return self.graph.add("MatMul", self.members, self.weights[:, None])

    def average(self, values: str) -> str:
        """Weighted mean of what each answer gives: (n, C, A) -> (n, C, 1)."""
        return self.graph.add("MatMul", values, (self.share @ self.weights)[:, None])


def _answers(graph: Graph, exported: Sequence[Exported], task: Task) -> tuple[str, np.ndarray]:
    """Answers of all members, and the member each is of; trees of all members go together."""
    names, owner = [], []
    trees = [(tree, index) for index, part in enumerate(exported) for tree in part.trees]
    if trees:
        owner += [index for _, index in trees]
        names.append(_from_trees(graph, add_forest(graph, [tree for tree, _ in trees]), task))
    for index, part in enumerate(exported):
        if part.answers is not None:
            names.append(part.answers)
            owner += [index] * part.n_answers
    return graph.add("Concat", *names, axis=2) if len(names) > 1 else names[0], np.array(owner)


def _unseen(members: Sequence[ExportMember], exported: Sequence[Exported]) -> list[Unseen]:
    """What each answer keeps back, in the order of _answers: a member's answers are of one model after another."""
    of_trees, of_others = [], []
    for member, part in zip(members, exported, strict=True):
        each = [model.meta.unseen for model in member.models]
        of_trees += each[: len(part.trees)]
        if part.answers is not None:
            of_others += [one for one in each for _ in range(part.n_answers // len(each))]
    return of_trees + of_others


def _with_unseen(graph: Graph, answers: str, unseen: Sequence[Unseen], task: Task) -> str:
    """Answers (n, C, A) with the part of classes that their models were never shown, see models.unseen."""
    if not any(one.codes for one in unseen):
        return answers
    kept = np.array([1 - one.share for one in unseen])
    floor = np.column_stack([one.floor(task.n_outputs) for one in unseen])
    return graph.add("Add", graph.add("Mul", answers, kept), floor)


def _from_trees(graph: Graph, raw: str, task: Task) -> str:
    """Log-odds, logits or values as answers."""
    if task.is_regression:
        return raw
    if task.problem_type == "multiclass":
        return graph.add("Softmax", raw, axis=1)
    # Not Sigmoid: ONNX Runtime's ends at 1.5e-8, and a calibration may make much of small probabilities.
    against = graph.add("Concat", raw, graph.add("Neg", raw), axis=1)
    return graph.add("Reciprocal", graph.add("Add", graph.add("Exp", against), 1.0))


def _entropy(graph: Graph, P: str, tiny: str) -> str:
    """-p ln p of each."""
    return graph.add("Neg", graph.add("Mul", P, graph.add("Log", graph.add("Max", P, tiny))))


def _classes(mix: _Mix, calibration: Mapping[str, Any] | None, n_classes: int) -> None:
    """Outputs for classes: see ensembles.uncertainty."""
    graph, axis = mix.graph, mix.graph.ints(1)

    def total_of(P: str) -> str:
        return graph.add("ReduceSum", _entropy(graph, P, graph.double(TINY)), axis, keepdims=0)

    raw = graph.add("Cast", graph.add("Squeeze", mix.mean, graph.ints(2)), to=DOUBLE)
    mean = graph.add("Div", raw, graph.add("ReduceSum", raw, axis, keepdims=1))
    total = total_of(mean)
    single = mix.average(_entropy(graph, mix.answers, graph.constant(TINY)))
    single = graph.add("ReduceSum", graph.add("Cast", single, to=DOUBLE), graph.ints(1, 2), keepdims=0)
    aleatoric = graph.add("Min", single, total)
    if calibration is not None:
        mean = calibrated(graph, mean, calibration, n_classes)
        before, total = total, total_of(mean)
        tiny = graph.double(NOISE)
        share = graph.add("Div", graph.add("Add", aleatoric, tiny), graph.add("Add", before, tiny))
        aleatoric = graph.add("Mul", total, share)
    _outputs(graph, mean, total, aleatoric, graph.add("Sub", total, aleatoric))
    _members(mix, mix.members)


def _value(mix: _Mix, units: TargetScale, noise: float, variances: str | None) -> None:
    """Outputs for a number: see ensembles.uncertainty."""
    graph = mix.graph
    off = graph.add("Sub", mix.answers, mix.mean)
    epistemic = graph.add("Cast", mix.average(graph.add("Mul", off, off)), to=DOUBLE)
    learned = graph.add("Mul", epistemic, graph.double(0.0))
    if variances is not None:
        learned = graph.add("Cast", variances, to=DOUBLE)
    aleatoric = graph.add("Add", learned, graph.double(noise))
    variances = (graph.add("Add", aleatoric, epistemic), aleatoric, epistemic)
    spreads = [
        graph.add(
            "Squeeze", graph.add("Mul", graph.add("Sqrt", v), graph.double(units.spread)), graph.ints(1, 2)
        )
        for v in variances
    ]

    def in_target_units(values: str) -> str:
        scaled = graph.add("Mul", graph.add("Cast", values, to=DOUBLE), graph.double(units.spread))
        return graph.add("Add", scaled, graph.double(units.center))

    _outputs(graph, graph.add("Squeeze", in_target_units(mix.mean), graph.ints(2)), *spreads)
    _members(mix, in_target_units(mix.members), DOUBLE)


def _variance(graph: Graph, exported: Sequence[Exported], weights: np.ndarray) -> str | None:
    """Weighted learned variances (n, 1, 1)."""
    parts = [
        graph.add("MatMul", part.variance, np.full((part.n_answers, 1), weight / part.n_answers))
        for part, weight in zip(exported, weights, strict=True)
        if part.variance is not None
    ]
    return graph.add("Sum", *parts) if len(parts) > 1 else next(iter(parts), None)


def calibrated(graph: Graph, P: str, calibration: Mapping[str, Any], n_classes: int) -> str:
    """See ensembles.calibration.calibrate.

    Shape: float64 (n, n_classes) -> (n, n_classes).
    Raises: TrainingError: a kind of calibration that no graph can say.
    """
    P = _curved(graph, P, calibration)
    floor = calibration.get("floor", 0.0)
    if not floor:
        return P
    left = 1 - floor * n_classes
    return graph.add("Add", graph.add("Mul", P, graph.double(left)), graph.double(floor))


def _curved(graph: Graph, P: str, calibration: Mapping[str, Any]) -> str:
    if calibration["kind"] == "identity":
        return P
    logs = graph.add("Log", graph.add("Max", P, graph.double(EPS)))
    if calibration["kind"] == "temperature":
        return graph.add(
            "Softmax", graph.add("Mul", logs, graph.double(1 / calibration["temperature"])), axis=1
        )
    if calibration["kind"] == "beta":
        weights = np.array([[-calibration["b"]], [calibration["a"]]])
        z = graph.add("Add", graph.add("MatMul", logs, graph.double(weights)), graph.double(calibration["c"]))
        p1 = graph.add(
            "Reciprocal", graph.add("Add", graph.add("Exp", graph.add("Neg", z)), graph.double(1.0))
        )
    elif calibration["kind"] == "isotonic":
        p1 = _interpolated(graph, graph.add("Gather", P, graph.ints(1), axis=1), calibration)
    else:
        raise TrainingError(f"calibration {calibration['kind']!r}: cannot be exported")
    return graph.add("Concat", graph.add("Sub", graph.double(1.0), p1), p1, axis=1)


def _interpolated(graph: Graph, p: str, points: Mapping[str, Any]) -> str:
    """Numpy's interp: the height of the first point, and of each step the share that p has climbed.

    Shape: (n, 1) -> (n, 1).
    """
    x, y = np.asarray(points["x"], dtype=np.float64), np.asarray(points["y"], dtype=np.float64)
    widths, heights = np.diff(x), np.diff(y)
    is_slope, is_jump = (widths > 0) & (heights != 0), (widths == 0) & (heights != 0)
    out = graph.add("Add", graph.add("Mul", p, graph.double(0.0)), graph.double(y[0]))
    if is_slope.any():
        climbed = graph.add("Max", graph.add("Sub", p, graph.double(x[:-1][is_slope])), graph.double(0.0))
        climbed = graph.add("Min", climbed, graph.double(widths[is_slope]))
        slopes = (heights[is_slope] / widths[is_slope])[:, None]
        out = graph.add("Add", out, graph.add("MatMul", climbed, graph.double(slopes)))
    if is_jump.any():
        above = graph.add("Cast", graph.add("GreaterOrEqual", p, graph.double(x[:-1][is_jump])), to=DOUBLE)
        out = graph.add("Add", out, graph.add("MatMul", above, graph.double(heights[is_jump][:, None])))
    return out


def _outputs(graph: Graph, mean: str, *uncertainties: str) -> None:
    graph.output("mean", mean, ["n", "c"], DOUBLE)
    for name, value in zip(("total", "aleatoric", "epistemic"), uncertainties, strict=True):
        graph.output(name, value, ["n"], DOUBLE)


def _members(mix: _Mix, values: str, kind: int = FLOAT) -> None:
    """Each member's answers (n, C, M) as an output (M, n, C)."""
    turned = mix.graph.add("Transpose", values, perm=[2, 0, 1])
    mix.graph.output("members", turned, [len(mix.weights), "n", "c"], kind)
