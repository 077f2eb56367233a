"""Numbers that 32 bits cannot tell apart as they are: what to take off them, and what to divide them by.

Models and the bundle's graph reckon with float32, which keeps seven digits and lies within +-3.4e38. Most columns are
held by that. Of 1,750,000,000 and the seconds after it one in 128 is left; below 1e-35 trees see zeros. So numbers are
moved and scaled in float64, where that saves values of the training rows, before they are rounded once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.messages import percent, show
from data.values import LARGEST
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from data.columns import Column

# Magnitudes between which every family reckons well: LightGBM takes 1e-35 for zero, squares end at 1e38 and 1e-45.
LEAST, MOST = 2.0**-100, 2.0**100
# A column is told of where the models see so many of its values as one of the others.
MANY_LOST = 0.05
# So many rows tell how a column's numbers lie.
SAMPLE_ROWS = 200_000
# Whole numbers that float64 holds.
EXACT = 2**53
# A target whose spread is less than this has squares that are zero.
LEAST_SPREAD = 1e-150


@dataclass(frozen=True)
class Scaling:
    """What the encoder makes of a number: (number - center) / scale.

    Attributes:
        center: What the numbers are counted from.
        scale: A power of two, so that dividing by it changes no digit.
    """

    center: float = 0.0
    scale: float = 1.0

    @property
    def is_plain(self) -> bool:
        """Whether numbers stay as they are."""
        return self == PLAIN

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Scaled numbers, float64; any shape."""
        return numbers if self.is_plain else (numbers - self.center) / self.scale


PLAIN = Scaling()


def fit_scaling(numbers: np.ndarray) -> Scaling:
    """The scaling that keeps most of the different numbers apart, or none where little is gained.

    The centre is the median of the different numbers: neither an outlier nor a number that stands for "missing" moves
    it. A scale is only used where a centre does not do.

    Shape: numbers float64 (n_samples,), NaN where missing.
    """
    if _is_exact(numbers):
        return PLAIN
    distinct = _distinct(numbers)
    plain = _merged(distinct, PLAIN)
    if not any(plain):
        return PLAIN
    best, least = min(((s, _merged(distinct, s)) for s in _candidates(distinct)), key=lambda pair: pair[1])
    # Halving, so that chance does not decide on columns of so many values that some are equal in any scaling.
    worth = least[0] < plain[0] or (least[0] == plain[0] and 2 * least[1] <= plain[1])
    return best if worth else PLAIN


def _distinct(numbers: np.ndarray) -> np.ndarray:
    sample = numbers[:: _step(len(numbers))]
    return np.unique(sample[~np.isnan(sample)])


def _step(n_rows: int) -> int:
    return max(1, -(-n_rows // SAMPLE_ROWS))


def _is_exact(numbers: np.ndarray) -> bool:
    """Whether float32 holds the numbers as they are: most columns need no closer look."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = numbers.astype(np.float32)
    if not np.array_equal(rounded, numbers, equal_nan=True):
        return False
    sizes = np.abs(numbers)
    return not ((sizes > MOST) | ((sizes < LEAST) & (sizes > 0))).any()


def _candidates(distinct: np.ndarray) -> Iterable[Scaling]:
    """Scalings to try, simple ones first."""
    centers = [0.0]
    middle = float(distinct[len(distinct) // 2])
    with np.errstate(over="ignore"):
        if np.isfinite(distinct[[0, -1]] - middle).all():
            centers.append(middle)
    for scale_of in (lambda _: 1.0, _typical, _by_largest):
        for center in centers:
            sizes = np.abs(distinct - center)
            yield Scaling(center, scale_of(sizes[sizes > 0]))


def _typical(sizes: np.ndarray) -> float:
    return _power(float(np.median(sizes))) if len(sizes) else 1.0


def _by_largest(sizes: np.ndarray) -> float:
    return _power(float(sizes.max()) / MOST) if len(sizes) else 1.0


def _power(value: float) -> float:
    """The power of two next below a value, as a float64 holds it."""
    return float(np.ldexp(1.0, int(np.clip(np.frexp(value)[1] - 1, -1074, 1023))))


def _merged(distinct: np.ndarray, scaling: Scaling) -> tuple[int, int]:
    """How many numbers are out of range, and how many of the others models cannot tell from their neighbour."""
    with np.errstate(over="ignore", under="ignore"):
        scaled = scaling.apply(distinct)
        n_outside = int(np.count_nonzero(np.abs(scaled) > LARGEST))
        seen = np.clip(scaled, -MOST, MOST).astype(np.float32)
    seen[np.abs(seen) < LEAST] = 0.0
    return n_outside, int(np.count_nonzero(seen[1:] == seen[:-1]))


def lost_share(numbers: np.ndarray, scaling: Scaling) -> float:
    """Share of the different numbers that models take for another one.

    Shape: numbers float64 (n_samples,), NaN where missing.
    """
    if scaling.is_plain and _is_exact(numbers):
        return 0.0
    distinct = _distinct(numbers)
    return sum(_merged(distinct, scaling)) / max(1, len(distinct))


def _share_of_ints(series: pd.Series) -> float:
    """Share of different whole numbers that are one to float64 already, as ids of 17 digits may be."""
    if getattr(series.dtype, "kind", "O") not in "iu":
        return 0.0
    values = series.dropna().to_numpy()
    if not len(values) or max(-int(values.min()), int(values.max())) <= EXACT:
        return 0.0
    values = np.unique(values)
    return 1 - len(np.unique(values.astype(np.float64))) / max(1, len(values))


def lost_values(frame: pd.DataFrame, columns: Iterable[Column]) -> dict[str, str]:
    """Columns of which models cannot tell many values apart, and what to say of each.

    Args:
        frame: The training rows.
        columns: As they were fitted to these rows.
    """
    found = {}
    rows = frame.iloc[:: _step(len(frame))]
    for column in columns:
        if column.kind not in ("numeric", "datetime"):
            continue
        numbers = column.raw(rows[column.name])
        numbers = numbers if numbers.ndim == 1 else numbers[:, 0]
        share = max(
            lost_share(numbers, column.scaling[0] if column.scaling else PLAIN),
            _share_of_ints(rows[column.name]),
        )
        if share > MANY_LOST:
            found[column.name] = (
                f"{percent(share)} of the different values of {show(column.name)} are too close to others for models, "
                "which see seven digits of a number: split the column in two (what is far apart, and the rest), "
                "or leave it out"
            )
    return found


def check_target(name: str, y: np.ndarray) -> None:
    """Refuse numbers whose squares no float64 holds.

    Args:
        name: Of the target.
        y: Its values, (n_samples,).

    Raises: DataError: names a value and what to do.
    """
    worst = float(y[np.argmax(np.abs(y))])
    if abs(worst) > LARGEST:
        raise DataError(
            f"target {show(name)}: {worst:g} is too large; targets lie within +-{LARGEST:.3g}: divide them all"
        )
    if float(np.std(y)) < LEAST_SPREAD:
        raise DataError(
            f"target {show(name)}: its values differ by less than {LEAST_SPREAD:g}: multiply them all"
        )
