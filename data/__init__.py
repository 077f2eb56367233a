"""A table becomes numbers here: sources, column kinds, the Encoder, the Target, splits and metrics."""
