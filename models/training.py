"""One training loop for every network family: schedule, early stopping, deadline."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from errors import DeviceMemoryError, TrainingError
from models.base import FitContext, History
from models.networks import TabularNetwork
from models.schedule import Schedule

MIN_BATCH = 8
EVAL_ROWS = 4096
STEPS_PER_EPOCH = 32
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Rows:
    """Preprocessed rows and their targets, on the device of the fit.

    Shape: numbers (n, F), slots (n, C), y (n,): int64 classes, or float32 in units of the target's spread.
    """

    numbers: Tensor
    slots: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def outputs(self, network: TabularNetwork, index: Tensor | slice) -> Tensor:
        """Outputs of some of the rows.

        Shape: -> (M, B, d_out).
        """
        return network.body(network.embed(self.numbers[index], self.slots[index]))


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Attributes:
        family: Key of the family, for messages.
        optimizer: "adam" or "adamw".
        lr: Peak learning rate.
        weight_decay: Applied to the weight matrices of the body only.
        batch_size: Rows per step at most; small tables use fewer, down to 8, so that an epoch has 32 steps.
        epochs: Passes over the training rows at most.
        n_cycles: Cycles of the learning rate, see Schedule. A whole cycle without a better validation loss ends
            the fit.
        patience: Epochs without a better validation loss that end it before; None: only a cycle does.
        loss: Loss of outputs and targets, meaned over rows.
        val_loss: The same, for the validation rows.
        penalty: Added to the loss, given the share of the plan that is done; None: nothing.
        lr_factors: Learning rates of parameters relative to `lr`, by the end of their names or by the part of
            the network they are in; 1 where nothing is said.
    """

    family: str
    optimizer: str
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    n_cycles: int
    patience: int | None
    loss: Loss
    val_loss: Loss
    penalty: Callable[[float], Tensor] | None = None
    lr_factors: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """Set torch's threads, and put them back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def isolated(context: FitContext) -> Iterator[None]:
    """Seed torch and set its threads, and put both back afterwards; on a GPU, take no more than the share given.

    Raises: DeviceMemoryError: the share was too small.
    """
    devices = []
    if context.device == "cuda":
        devices = [torch.cuda.current_device()]
        torch.cuda.set_per_process_memory_fraction(context.gpu_share)
    with threads(context.n_threads), torch.random.fork_rng(devices):
        torch.manual_seed(context.seed)
        try:
            yield
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise DeviceMemoryError(str(error).partition(". ")[0]) from None


def train(network: TabularNetwork, rows: Rows, val: Rows, plan: Plan, context: FitContext) -> History:
    """Train in place; the network is left with the weights of its best epoch, in evaluation mode.

    Raises: TrainingError: a loss is not a finite number.
    """
    steps = _batches(len(rows), plan.batch_size)
    schedule = Schedule(plan.epochs * steps, context.deadline, plan.n_cycles)
    optimizer = _optimizer(network, plan, context.device)
    history, best, best_cycle = History(stop_reason="complete"), _copy(network), 0
    for epoch in range(plan.epochs):
        train_loss, late = _epoch(network, rows, plan, schedule, optimizer)
        val_loss = evaluate(network, val, plan.val_loss)
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            raise TrainingError(
                f"{plan.family}: the fit diverged in epoch {epoch + 1} with lr={plan.lr:g} "
                f"(training loss {train_loss}, validation loss {val_loss}); try a smaller lr"
            )
        history.train.append(train_loss)
        history.val.append(val_loss)
        if epoch == 0 or val_loss < history.val[history.best]:
            history.best, best, best_cycle = epoch, _copy(network), schedule.last_cycle
        if late:
            history.stop_reason = "deadline"
        elif schedule.cycle > best_cycle + 1 or (plan.patience and epoch - history.best >= plan.patience):
            history.stop_reason = "patience"
        if history.stop_reason != "complete":
            break
    network.load_state_dict(best)
    network.eval()
    return history


def _epoch(
    network: TabularNetwork, rows: Rows, plan: Plan, schedule: Schedule, optimizer: torch.optim.Optimizer
) -> tuple[float, bool]:
    network.train()
    order = torch.randperm(len(rows)).to(rows.y.device)
    if len(rows) == 1:  # batch normalisation needs two rows
        order = order.repeat(2)
    total, done = torch.zeros((), device=rows.y.device), 0
    late = False
    for index in order.tensor_split(_batches(len(rows), plan.batch_size)):
        for group in optimizer.param_groups:
            group["lr"] = plan.lr * group["lr_factor"] * schedule.factor()
        loss = plan.loss(rows.outputs(network, index), rows.y[index])
        total, done = total + loss.detach(), done + 1
        if plan.penalty is not None:
            loss = loss + plan.penalty(schedule.share)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        late = schedule.advance()
        if late:
            break
    return float(total) / done, late


@torch.no_grad()
def evaluate(network: TabularNetwork, rows: Rows, loss: Loss) -> float:
    """Mean loss over rows in evaluation mode."""
    network.eval()
    chunk = min(EVAL_ROWS, network.rows_at_once)
    starts = range(0, len(rows), chunk)
    losses = [
        float(loss(rows.outputs(network, slice(start, start + chunk)), rows.y[start : start + chunk]))
        for start in starts
    ]
    sizes = [min(chunk, len(rows) - start) for start in starts]
    return sum(value * size for value, size in zip(losses, sizes, strict=True)) / len(rows)


def _batches(n_rows: int, batch_size: int) -> int:
    size = min(batch_size, max(MIN_BATCH, n_rows // STEPS_PER_EPOCH))
    return max(1, n_rows // size)  # no batch is smaller than size, which batch normalisation relies on


def _optimizer(network: nn.Module, plan: Plan, device: str) -> torch.optim.Optimizer:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        decay = plan.weight_decay if name.startswith("body.") and name.endswith(("weight", "mean")) else 0.0
        factor = next(
            (f for key, f in plan.lr_factors.items() if name.endswith(key) or name.startswith(key)), 1.0
        )
        groups.setdefault((decay, factor), []).append(parameter)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[plan.optimizer]
    return kind(
        [{"params": ps, "weight_decay": decay, "lr_factor": f} for (decay, f), ps in groups.items()],
        lr=plan.lr,
        betas=(0.9, 0.95),
        fused=device in ("cpu", "cuda"),
    )


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
