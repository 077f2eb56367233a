"""From finished trials to one model: selection, uncertainty, bundle, registry."""

from ensembles.bundle import Bundle, load_bundle

__all__ = ["Bundle", "load_bundle"]
