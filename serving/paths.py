"""Paths that more than one part of the service knows."""

PREDICT = "/api/ml/predict"
