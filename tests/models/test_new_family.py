"""Adding a family is two files and one line: done to a copy of the project, which then has to pass."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ENVIRONMENT, ROOT, binary_table

LINE = '    "bnn": "BNN",\n'
COPIED = ("configs", "data", "models", "search_spaces", "tuning", "ensembles", "serving", "tests")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "samples"))
    for path in (*ROOT.glob("*.py"), ROOT / "pyproject.toml"):
        shutil.copy(path, folder)
    toy = ROOT / "tests" / "models" / "toy"
    shutil.copy(toy / "model.py", folder / "models" / "toy.py")
    shutil.copy(toy / "space.py", folder / "search_spaces" / "toy.py")
    families = folder / "models" / "families.py"
    table = families.read_text("utf-8")
    assert LINE in table
    families.write_text(table.replace(LINE, LINE + '    "toy": "Toy",\n'), "utf-8")
    return folder


def run(project, *arguments):
    environment = ENVIRONMENT | {"PYTHONPATH": os.fspath(project)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_passes_the_conformance_suite(project):
    tests = ["tests/models/test_conformance.py", "tests/models/test_families.py", "tests/search_spaces"]
    done = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "toy", *tests)
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(done.stdout.strip().splitlines()[-1].split(" passed")[0]) > 30


def test_it_can_be_searched_and_ensembled(project):
    binary_table().to_csv(project / "table.csv", index=False)
    options = ["families=[toy]", "search.num_trials=2", "data.n_folds=2", "tracking=none", "--json"]
    done = run(project, "-m", "cli", "tune", "data.source=table.csv", "data.target=target", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scores"]["oof"] > 0.95
