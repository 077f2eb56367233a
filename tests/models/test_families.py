import pytest

from errors import ConfigError
from models.base import Model
from models.families import FAMILIES, get_family


@pytest.mark.parametrize("key", FAMILIES)
def test_every_family_is_a_complete_model(key):
    family = get_family(key)
    assert issubclass(family, Model)
    assert family.key == key
    assert not family.__abstractmethods__


def test_unknown_family_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'lightgbm'"):
        get_family("lightbgm")
