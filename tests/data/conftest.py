"""Real servers, started once for the tests that read from them."""

import pytest

from tests import servers


@pytest.fixture(scope="session")
def redis_url():
    with servers.redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres():
    """host:port of a cluster with the user `tester`."""
    with servers.postgres_server() as address:
        yield address


@pytest.fixture(scope="session")
def s3_endpoint():
    with servers.s3_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def gcs_endpoint():
    with servers.gcs_server() as endpoint:
        yield endpoint
