"""A table made ready to learn from: encoded rows, labels, folds, and what is needed to encode new rows."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd

from configs.schema import AskedProblemType, DataConfig, ProblemType, SplitKind
from configs.sources import mask_secrets
from data.blocks import blocks_of
from data.division import (
    assign,
    check_division,
    choose_split,
    division_notes,
    set_aside,
    share_notes,
    withhold,
)
from data.encoder import Encoder
from data.examination import Sample, draw
from data.features import FeatureSpec, infer_features
from data.findings import Table
from data.messages import did_you_mean, show_list
from data.missing import complete_rows
from data.new_rows import contradicting
from data.precision import check_target, lost_values
from data.settle import SettledTable, settle_table
from data.sources import load_table, table_name
from data.summary import column_notes, fingerprint, golden_rows, row_notes
from data.target import Target
from data.target_reading import read_labels
from data.versions import format_problem, stamp
from errors import DataError, DataLoadError

FORMAT = 3
# Of 0.1.0: without how cells were written.
FORMATS = (2, FORMAT)


@dataclass(frozen=True, eq=False)
class TabularDataset:
    """The training rows, and the test rows where some are withheld.

    Attributes:
        name: Name of the file without suffixes.
        X: float32 (n_rows, n_features), as the encoder makes them.
        y: Class codes int64, or values float64, (n_rows,).
        folds: int8 (n_rows,), the fold each row is validated in; -1: never.
        split: How the rows were divided; data.splits.training_rows says which of them train for a fold.
        X_test: As X, or None where no rows are withheld.
        y_test: As y, or None.
        encoder: Raw values to rows of X; fitted on the training rows.
        target: Labels to y and back.
        specs: What every column was taken for.
        golden_rows: A few raw training rows, safe for JSON, with the encoder's columns.
        fingerprint: SHA-256 of column names and rows as they were read.
        notes: What the user should be told.
        test_fingerprint: The same of the test rows as they were read; None where no rows are withheld.
        blocks: (n_rows,), which group or stretch of time a validated row is of, see data.blocks; None: of none.
        test_blocks: The same of withheld rows.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    folds: np.ndarray
    split: SplitKind
    X_test: np.ndarray | None
    y_test: np.ndarray | None
    encoder: Encoder
    target: Target
    specs: tuple[FeatureSpec, ...]
    golden_rows: list[dict[str, Any]]
    fingerprint: str
    notes: tuple[str, ...]
    test_fingerprint: str | None = None
    blocks: np.ndarray | None = None
    test_blocks: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        """Number of encoded features."""
        return self.X.shape[1]

    @property
    def n_folds(self) -> int:
        """Number of validation folds; 1 where one part validates every trial."""
        return int(self.folds.max()) + 1

    @property
    def problem_type(self) -> ProblemType:
        """binary, multiclass or regression."""
        return self.target.problem_type

    def save(self, folder: Path) -> None:
        """Write the dataset as JSON and .npy files, replacing what was there; all of it appears at once."""
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.parent / f".{folder.name}-{uuid4().hex}"
        temporary.mkdir()
        try:
            self._write(temporary)
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _write(self, folder: Path) -> None:
        arrays = {"X": self.X, "y": self.y, "folds": self.folds, "X_test": self.X_test, "y_test": self.y_test}
        arrays |= {"blocks": self.blocks, "test_blocks": self.test_blocks}
        for stem, array in arrays.items():
            if array is not None:
                np.save(folder / f"{stem}.npy", array, allow_pickle=False)
        _write_json(folder / "encoder.json", self.encoder.to_json())
        _write_json(folder / "target.json", self.target.to_json())
        about = {
            **stamp(FORMAT),
            "name": self.name,
            "split": self.split,
            "fingerprint": self.fingerprint,
            "test_fingerprint": self.test_fingerprint,
            "notes": self.notes,
            "golden_rows": self.golden_rows,
            "specs": [asdict(spec) for spec in self.specs],
        }
        _write_json(folder / "dataset.json", about)

    @classmethod
    def load(cls, folder: Path) -> TabularDataset:
        """Read what save wrote; X and X_test stay on disk, mapped into memory read-only.

        Raises: DataLoadError: the folder is missing, damaged, or of another format.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
            problem = format_problem(about, FORMATS)
            if problem:
                raise DataLoadError(f"{folder}: {problem}")
            test = (folder / "X_test.npy").exists()

            def known(name: str) -> np.ndarray | None:
                path = folder / f"{name}.npy"
                return _load_array(path) if path.exists() else None

            return cls(
                name=about["name"],
                X=_load_array(folder / "X.npy", mapped=True),
                y=_load_array(folder / "y.npy"),
                folds=_load_array(folder / "folds.npy"),
                split=about["split"],
                X_test=_load_array(folder / "X_test.npy", mapped=True) if test else None,
                y_test=known("y_test"),
                encoder=Encoder.from_json(json.loads((folder / "encoder.json").read_text(encoding="utf-8"))),
                target=Target.from_json(json.loads((folder / "target.json").read_text(encoding="utf-8"))),
                specs=tuple(FeatureSpec.from_json(spec) for spec in about["specs"]),
                golden_rows=about["golden_rows"],
                fingerprint=about["fingerprint"],
                notes=tuple(about["notes"]),
                test_fingerprint=about.get("test_fingerprint"),
                blocks=known("blocks"),
                test_blocks=known("test_blocks"),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataLoadError(f"{folder}: not a saved dataset, or a damaged one: {error!r}") from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    path.write_text(text, encoding="utf-8")


def _load_array(path: Path, mapped: bool = False) -> np.ndarray:
    return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)


def load_dataset(
    config: DataConfig, problem_type: AskedProblemType | None = None, seed: int = 0
) -> TabularDataset:
    """As read_dataset, the dataset alone."""
    return read_dataset(config, problem_type, seed)[0]


def read_dataset(
    config: DataConfig, problem_type: AskedProblemType | None = None, seed: int = 0
) -> tuple[TabularDataset, Sample]:
    """Read a table, withhold the test rows, infer kinds and fit the encoder on the others, and assign folds.

    Args:
        config: Source, target, columns left out, kinds, and how the rows are divided.
        problem_type: Overrides what the target poses.
        seed: Same seed, same test rows and folds.

    Returns: the dataset, and training rows as they were read, to be examined.

    Raises:
        DataLoadError: a file is not a table.
        DataError: the target or a column cannot be learned from; names the file, the column and the value.
        ConfigError: keys contradict each other.
    """
    check_division(config)
    frame = load_table(config.source, config.encoding)
    with _naming(config.source):
        target, settled, notes = read_table(frame, config, problem_type)
        labelled = settled.frame
        notes += _unlabelled(len(frame) - len(labelled), len(frame), target.name)
        y = target.encode(labelled[config.target])
        if not target.classes:
            check_target(target.name, y)
        split = choose_split(config, labelled, y, target, seed)
        train_rows, test_rows = withhold(config, split)
        if config.test_size and split.keys is not None:
            notes += share_notes("data.test_size", config.test_size, len(test_rows), len(y))
        notes += _check_classes_left(target, y[train_rows], split.kind)
        train = labelled.iloc[train_rows]
        if config.missing == "drop":
            complete, dropped = complete_rows(train, config, settled.formats)
            train, train_rows = train[complete], train_rows[complete]
            hint = "fill them, or leave it native"
            notes += dropped
            notes += _check_classes_left(target, y[train_rows], split.kind, "data.missing=drop", hint)
        specs = infer_features(train, config.target, config.ignore, config.kinds, settled.formats)
        specs = set_aside(specs, config)
        encoder = Encoder.fit(train, specs, config.missing)
        _check_features_left(encoder, specs)
        withheld = np.isin(np.arange(len(y)), test_rows)
        test_blocks = None if config.test_source else blocks_of(split, withheld)
        split = split.of(train_rows)
        folds, fold_notes = assign(config, split)
        X = encoder.transform(train)
        X_test = encoder.transform(labelled.iloc[test_rows]) if len(test_rows) else None
        y_test = y[test_rows] if len(test_rows) else None
        test_frame = labelled.iloc[test_rows]
    frames = [frame]
    if config.test_source:
        test_frame, X_test, y_test, test_notes = _load_test(config, encoder, target)
        frames.append(test_frame)
        notes += test_notes
    if y_test is not None:
        notes.append(f"{len(y_test):,} rows are withheld for the test")
    notes += column_notes(specs, config.ignore)
    notes += lost_values(train, encoder.columns).values()
    notes += row_notes(train, [*encoder.column_names, config.target])
    notes += fold_notes + division_notes(config, split, folds, target)
    kept = tuple(spec for spec in specs if spec.kind != "ignore")
    sample = draw(Table(train, kept, target, y[train_rows]), specs)
    dataset = TabularDataset(
        name=table_name(config.source),
        X=X,
        y=y[train_rows],
        folds=folds,
        split=split.kind,
        X_test=X_test,
        y_test=y_test,
        encoder=encoder,
        target=target,
        specs=specs,
        golden_rows=golden_rows(train, encoder.column_names),
        fingerprint=fingerprint(frames),
        notes=tuple(notes),
        test_fingerprint=fingerprint([test_frame]) if y_test is not None else None,
        blocks=blocks_of(split, folds >= 0),
        test_blocks=None if test_blocks is None else test_blocks[test_rows],
    )
    return dataset, sample


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """Puts the source before what is wrong with its content."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{mask_secrets(source)}: {error}") from error


def read_table(
    frame: pd.DataFrame, config: DataConfig, problem_type: AskedProblemType | None
) -> tuple[Target, SettledTable, list[str]]:
    """What the labels are, the rows that have one with settled cells, and what the user should know of both.

    Raises: ConfigError, DataError: see read_labels and settle_table.
    """
    check_column(frame, config.target)
    untyped = not frame.attrs.get("typed", True)
    example = config.formats.get(config.target)
    labels = read_labels(frame[config.target], problem_type, config.positive_class, example, untyped)
    settled = settle(frame, config)
    if labels.missing.any():
        settled = replace(settled, frame=settled.frame[~labels.missing])
    return labels.target, settled, [*frame.attrs.get("notes", ()), *labels.notes]


def settle(frame: pd.DataFrame, config: DataConfig) -> SettledTable:
    """The table with settled cells, but for the target, the groups, and what is ignored.

    Raises: ConfigError, DataError: see settle_table.
    """
    leave = {config.target, *config.ignore, *({config.group} - config.kinds.keys())}
    formats = {name: example for name, example in config.formats.items() if name != config.target}
    return settle_table(frame, config.kinds, formats, leave, config.unreadable)


def check_column(frame: pd.DataFrame, target: str) -> None:
    """Refuse a target that is no column.

    Raises: DataError: names the nearest column.
    """
    if target not in frame.columns:
        hint = did_you_mean(target, frame.columns)
        raise DataError(f"no target column {target!r}{hint}; columns: {show_list(frame.columns, 30)}")


def _unlabelled(n_missing: int, n_rows: int, target: str) -> list[str]:
    return [f"{n_missing:,} of {n_rows:,} rows have no {target!r} and are left out"] if n_missing else []


def _load_test(
    config: DataConfig, encoder: Encoder, target: Target
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, list[str]]:
    frame = load_table(str(config.test_source), config.encoding)
    with _naming(config.test_source):
        check_column(frame, target.name)
        missing = target.missing(frame[target.name])
        labelled = frame[~missing] if missing.any() and not missing.all() else frame
        y = target.encode(labelled[target.name])
        notes = list(frame.attrs.get("notes", ()))
        notes += _unlabelled(len(frame) - len(labelled), len(frame), target.name)
        where = mask_secrets(config.test_source)
        X = encoder.transform(labelled, config.unreadable)
        notes += contradicting(encoder, labelled) if config.unreadable == "missing" else []
        return frame, X, y, [f"{where}: {note}" for note in notes]


def _check_classes_left(
    target: Target,
    y: np.ndarray,
    kind: SplitKind,
    key: str = "data.test_size",
    hint: str = "withhold a smaller share",
) -> list[str]:
    absent = np.setdiff1d(np.arange(len(target.classes)), y)
    if not len(absent):
        return []
    names = show_list(target.classes[code] for code in absent)
    # A group may hold all rows of a class, and a class may come late; but one class alone teaches nothing.
    if kind == "stratified" or len(absent) == len(target.classes) - 1:
        raise DataError(f"{key}: classes left without a training row: {names}; {hint}")
    return [f"classes that only rows left out have, and nothing can learn: {names}"]


def _check_features_left(encoder: Encoder, specs: tuple[FeatureSpec, ...]) -> None:
    if not encoder.columns:
        reasons = (
            "; ".join(f"{spec.name!r}: {spec.note}" for spec in specs) or "the target is the only column"
        )
        raise DataError(f"no column is left to learn from: {reasons}")
