"""What a command imports before its search begins; each of these libraries is a second or more."""

import subprocess
import sys

import pytest

from tests.conftest import ENVIRONMENT, ROOT

MODELS = {"torch", "lightgbm", "xgboost"}
CASES = {
    "cli": MODELS | {"ray", "optuna", "wandb", "matplotlib", "pandas", "sklearn", "onnxruntime"},
    "tuning.job": MODELS | {"ray", "wandb", "matplotlib", "onnx", "onnxruntime"},
    "tuning.search": MODELS | {"wandb", "matplotlib", "onnx", "onnxruntime"},
}


@pytest.mark.parametrize("module", CASES)
def test_what_is_not_needed_yet_is_not_imported(module):
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) & CASES[module] == set()
