"""Which of Redis's errors pass by themselves."""

from redis.exceptions import MasterDownError, OutOfMemoryError, ResponseError, TryAgainError

from service_kit.redis import RETRYABLE

_TRANSIENT = (*RETRYABLE, MasterDownError, OutOfMemoryError, TryAgainError, OSError)
_TRANSIENT_CODES = ("MISCONF", "NOREPLICAS", "UNBLOCKED", "BUSY")
"""Failed snapshot, too few replicas, failover during a blocking call, a script that runs too long."""


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed later, without anybody changing the program."""
    if isinstance(error, _TRANSIENT):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(_TRANSIENT_CODES)
