"""The ensemble's graph, run by ONNX Runtime."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ensembles.uncertainty import EnsemblePrediction
from errors import BundleError, DataError, PredictionError

OUTPUTS = ("mean", "total", "aleatoric", "epistemic", "members")
# Rows that go through the graph at once: what a layer gives for all draws of so many should fit the cache.
CHUNK_ROWS = 512
# Fewer rows are not worth a thread of their own.
LEAST_ROWS = 64


class GraphSession:
    """Answers encoded rows.

    Threads share the rows of a large prediction out, not the operators: a single row is quickest on one thread, which
    ONNX Runtime's own threads, woken for every operator, would make half as long again.

    Args:
        source: The graph's file, or its bytes.
        n_threads: Threads of a prediction of many rows.

    Raises: BundleError: ONNX Runtime cannot read the graph.
    """

    def __init__(self, source: Path | bytes, n_threads: int = 1) -> None:
        import onnxruntime  # noqa: PLC0415 - a bundle's manifest is read without it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                source if isinstance(source, bytes) else str(source),
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:
            where = "the graph" if isinstance(source, bytes) else source
            raise BundleError(f"{where}: ONNX Runtime cannot read it: {error}") from error
        self.n_features = self._session.get_inputs()[0].shape[1]
        self._n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads, "rows") if n_threads > 1 else None

    def predict(self, X: np.ndarray) -> EnsemblePrediction:
        """Predict encoded rows.

        Shape: X (n_samples, n_features).
        Raises: DataError: rows of another shape. PredictionError: ONNX Runtime failed.
        """
        try:
            X = np.ascontiguousarray(X, dtype=np.float32)
        except (TypeError, ValueError):
            raise DataError(
                f"encoded rows: got {type(X).__name__} with what is no number; expected an array of shape "
                f"(1 or more, {self.n_features}), as Bundle.encode makes it of raw rows"
            ) from None
        if X.ndim != 2 or X.shape[1] != self.n_features or not len(X):  # noqa: PLR2004 - rows and columns
            raise DataError(f"encoded rows of shape {X.shape}; expected (1 or more, {self.n_features})")
        size = min(CHUNK_ROWS, max(LEAST_ROWS, -(-len(X) // self._n_threads)))
        if len(X) <= size:
            return self._run(X)
        run = map if self._pool is None else self._pool.map
        parts = run(self._run, [X[start : start + size] for start in range(0, len(X), size)])
        return EnsemblePrediction.joined(list(parts))

    def _run(self, X: np.ndarray) -> EnsemblePrediction:
        try:
            return EnsemblePrediction(*self._session.run(OUTPUTS, {"X": X}))
        except Exception as error:
            raise PredictionError(f"ONNX Runtime could not answer {len(X)} rows: {error}") from error
