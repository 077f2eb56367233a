"""Every error raised on purpose; a message says what, the value got, what was allowed, and where."""

from __future__ import annotations


class TabularayError(Exception):
    """Base of all deliberate errors. Children take one message, so that they pickle across Ray."""

    exit_code = 1


class ConfigError(TabularayError):
    """A configuration key or value is not allowed; raised before any work starts."""

    exit_code = 2


class UnreachableError(ConfigError):
    """A cluster, a store or a server that was named does not answer."""

    exit_code = 11


class DataError(TabularayError):
    """A table or a record cannot be used as it is; names the column and the value."""

    exit_code = 3


class DataLoadError(DataError):
    """A source cannot be read as a table at all."""


class SourceUnreachableError(DataLoadError):
    """Where the table is does not answer."""

    exit_code = UnreachableError.exit_code


class TrainingError(TabularayError):
    """A sweep ended without a usable trial, or too many of its trials failed."""

    exit_code = 4


class DeviceMemoryError(TrainingError):
    """A fit needed more memory than its share of the GPU."""


class ModelNotFoundError(TabularayError):
    """No such model, version or alias in the registry."""

    exit_code = 5


class BundleError(TabularayError):
    """A bundle is damaged, incomplete, or of an unknown format."""

    exit_code = 6


class VersionRefusedError(BundleError):
    """A version may not take traffic: it fails its proof here, or cannot be compared with what is served."""


class PredictionError(TabularayError):
    """A loaded model could not answer a valid request."""

    exit_code = 7


class ServingError(TabularayError):
    """The endpoint could not start or be reached."""

    exit_code = 8


class TaskNotFoundError(TabularayError):
    """The service has no training task of that name."""

    exit_code = 9


class ConflictError(TabularayError):
    """What is asked cannot be done in the state that things are in."""

    exit_code = 10


class DiskFullError(TabularayError):
    """Nothing more can be written; what was finished is kept."""

    exit_code = 12
