"""One training loop for every network family: schedule, early stopping, deadline."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from errors import TrainingError
from models.base import FitContext, History
from models.networks import TabularNetwork

CHECK_EVERY = 8
MIN_BATCH = 8
STEPS_PER_EPOCH = 32
WARMUP = 0.05
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
        """Outputs of some of the rows."""
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
        patience: Epochs without a better validation loss that end the fit.
        loss: Loss of outputs and targets, meaned over rows.
        val_loss: The same, for the validation rows.
        penalty: Added to the loss, given the share of the plan that is done; None: nothing.
    """

    family: str
    optimizer: str
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int
    loss: Loss
    val_loss: Loss
    penalty: Callable[[float], Tensor] | None = None


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
    """Seed torch and set its threads, and put both back afterwards."""
    devices = [torch.cuda.current_device()] if context.device == "cuda" else []
    with threads(context.n_threads), torch.random.fork_rng(devices):
        torch.manual_seed(context.seed)
        yield


def gaussian_nll(outputs: Tensor, y: Tensor, beta: float = 0.0) -> Tensor:
    """Negative log-likelihood of targets under a learned mean and log-variance, without its constant.

    Each row weighs its variance to the power of `beta`: 0 is the likelihood, 1 fits the mean as squared error
    does; in between, rows that are noisy so far still teach the mean.

    Shape: outputs (B, 2), y (B,) -> scalar.
    Source: Seitzer et al. 2022, arXiv 2203.09168.
    """
    mean, log_variance = outputs[:, 0], outputs[:, 1].clamp(-12, 12)
    loss = 0.5 * (log_variance + (y - mean).square() * torch.exp(-log_variance))
    if beta:
        loss = loss * torch.exp(beta * log_variance.detach())
    return loss.mean()


def squared_error(outputs: Tensor, y: Tensor) -> Tensor:
    """Mean squared error.

    Shape: outputs (B, 1), y (B,) -> scalar.
    """
    return functional.mse_loss(outputs[:, 0], y)


class Schedule:
    """Learning rate over the share of the plan that is done: a short warm-up, then half a cosine.

    Where the deadline comes first, the rest of the curve is squeezed into the steps that still fit, so that a
    cut fit ends with small steps too. A deadline that does not bind changes nothing, whatever the clock says.
    """

    def __init__(self, n_steps: int, deadline: float | None):
        self.start = time.monotonic()
        self.n_steps = n_steps
        self.deadline = deadline
        self.done = 0
        self.share = 0.0
        self.pace = 1 / n_steps

    def factor(self) -> float:
        """Share of the peak learning rate for the next step."""
        warm = min(1.0, (self.share + self.pace) / WARMUP)
        return warm * 0.5 * (1 + math.cos(math.pi * min(self.share, 1.0)))

    def advance(self) -> bool:
        """Count a step; whether the deadline ends the fit here, which is looked up every few steps."""
        self.done += 1
        self.share += self.pace
        if self.done % CHECK_EVERY and self.done > 1:
            return False
        now, left = time.monotonic(), float(self.n_steps - self.done)
        if self.deadline is not None and self.done > 1:  # the first step also pays for what torch sets up
            seconds_per_step = (now - self.start) / self.done
            left = min(left, 0.95 * (self.deadline - now) / seconds_per_step)
        self.pace = (1 - self.share) / max(left, 1.0)
        squeezed_out = self.share >= 1 and self.done < self.n_steps
        return self.deadline is not None and (squeezed_out or now >= self.deadline)


def train(network: TabularNetwork, rows: Rows, val: Rows, plan: Plan, context: FitContext) -> History:
    """Train in place; the network is left with the weights of its best epoch, in evaluation mode.

    Raises: TrainingError: a loss is not a finite number.
    """
    steps = _batches(len(rows), plan.batch_size)
    schedule = Schedule(plan.epochs * steps, context.deadline)
    optimizer = _optimizer(network, plan, context.device)
    history, best = History(stop_reason="complete"), _copy(network)
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
            history.best, best = epoch, _copy(network)
        if late:
            history.stop_reason = "deadline"
        elif epoch - history.best >= plan.patience:
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
            group["lr"] = plan.lr * schedule.factor()
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
def evaluate(network: TabularNetwork, rows: Rows, loss: Loss, chunk: int = 4096) -> float:
    """Mean loss over rows in evaluation mode."""
    network.eval()
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
    decayed = [p for name, p in network.named_parameters() if name.startswith("body.") and p.ndim > 1]
    chosen = {id(p) for p in decayed}
    others = [p for p in network.parameters() if id(p) not in chosen]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[plan.optimizer]
    return kind(groups, lr=plan.lr, betas=(0.9, 0.95), fused=device in ("cpu", "cuda"))


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
