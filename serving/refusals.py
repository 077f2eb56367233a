"""What the endpoint refuses for reasons of its own: who asks, how much, how fast."""

from __future__ import annotations

from errors import ServingError


class UnauthorizedError(ServingError):
    """No token, or one that nobody has."""


class ForbiddenError(ServingError):
    """The token's role does not allow this."""


class PayloadTooLargeError(ServingError):
    """The body has more bytes than allowed."""


class UnsupportedMediaTypeError(ServingError):
    """A body in a form that is not read here."""


class SlowRequestError(ServingError):
    """The client took too long to send its body."""


class ClientLeftError(ServingError):
    """The client left before all of its body had come; nobody reads the answer."""


class OverloadedError(ServingError):
    """Too much is waiting already; later it may go.

    Attributes:
        retry_after_s: When to try again.
    """

    retry_after_s = 1


class AnswerTimeoutError(ServingError):
    """No answer was ready in the time that a request has."""
