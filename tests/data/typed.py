"""Tables as training takes them: with numbers and dates where the text of a file holds such."""

from data.settle import settle_table
from data.sources import load_table


def load_typed(source, encoding=None):
    """What load_table reads, with settled cells."""
    return settle_table(load_table(source, encoding), {}, {}).frame
