import inspect
import pickle

import pytest

import errors

ALL = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.TabularayError)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_survives_pickling(kind):
    copy = pickle.loads(pickle.dumps(kind("column 'age': got 'x'")))
    assert type(copy) is kind
    assert str(copy) == "column 'age': got 'x'"


# These end a command as their parent does, or, with a source, as whatever else does not answer.
CHILDREN = {
    errors.DataLoadError,
    errors.DeviceMemoryError,
    errors.SourceUnreachableError,
    errors.VersionRefusedError,
}


def test_exit_codes_tell_errors_apart():
    codes = {kind.exit_code for kind in ALL if kind not in CHILDREN}
    assert len(codes) == len(ALL) - len(CHILDREN)
    assert 0 not in codes
