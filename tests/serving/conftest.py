"""What several tests of serving start from."""

import pytest

from ensembles.bundle import load_bundle
from serving.loading import Loaded
from tests.serving.training import Service
from tests.serving.versions import make_bundles


@pytest.fixture
def service(tmp_path):
    """Training's routes over a folder of their own."""
    return Service(tmp_path)


@pytest.fixture(scope="session")
def good_bundles(tmp_path_factory):
    """Two sound versions of a small model; whoever changes one copies it."""
    return make_bundles(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="session")
def pair(good_bundles):
    """The same, loaded."""
    return [Loaded(f"small:{n}", load_bundle(path)) for n, path in enumerate(good_bundles, 1)]
