"""What several tests of serving start from."""

import pytest

from tests.serving.training import Service


@pytest.fixture
def service(tmp_path):
    """Training's routes over a folder of their own."""
    return Service(tmp_path)
