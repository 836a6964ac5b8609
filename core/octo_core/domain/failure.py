"""Why a run or a file failed: categories, exit codes, and what a person can do about each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Category(StrEnum):
    """Failure categories. ``retryPolicy.retryOn`` speaks in these."""

    INFRA = "Infra"
    REMOTE_UNAVAILABLE = "RemoteUnavailable"
    SINK_UNAVAILABLE = "SinkUnavailable"
    AUTH = "Auth"
    HOST_KEY = "HostKey"
    DECRYPT = "Decrypt"
    INTEGRITY = "Integrity"
    UNPACK_LIMIT = "UnpackLimit"
    CONFIG = "Config"
    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"
    UNKNOWN = "Unknown"


EXIT_CODES: dict[Category, int] = {
    Category.UNKNOWN: 1,
    Category.REMOTE_UNAVAILABLE: 20,
    Category.SINK_UNAVAILABLE: 21,
    Category.INFRA: 22,
    Category.AUTH: 30,
    Category.HOST_KEY: 31,
    Category.DECRYPT: 32,
    Category.UNPACK_LIMIT: 33,
    Category.INTEGRITY: 34,
    Category.CONFIG: 40,
    Category.TIMEOUT: 41,
    Category.CANCELLED: 50,
}
"""The worker's exit code for each category; 0 is success, and any other code is ``Unknown``."""

_BY_EXIT_CODE = {code: category for category, code in EXIT_CODES.items()}

RETRYABLE_BY_DEFAULT: tuple[Category, ...] = (
    Category.INFRA,
    Category.REMOTE_UNAVAILABLE,
    Category.SINK_UNAVAILABLE,
    Category.TIMEOUT,
    Category.UNKNOWN,
)

RESOLUTIONS: dict[Category, str] = {
    Category.INFRA: "The cluster lost or could not start the pod; check nodes, quota and image, then rerun.",
    Category.REMOTE_UNAVAILABLE: "Check that the SFTP host and port are reachable from the cluster.",
    Category.SINK_UNAVAILABLE: "Check that the S3 endpoint is reachable from the cluster and healthy.",
    Category.AUTH: "Check the user name and the credentials Secret, and that the account may read or write there.",
    Category.HOST_KEY: (
        "The server's host key is not among source.sftp.hostKeys. Ask the provider whether the key changed, "
        "and pin the new one only then."
    ),
    Category.DECRYPT: (
        "Check that the file was encrypted to the key in decrypt.openpgp.keySecretRef, or ask the provider "
        "to send it again."
    ),
    Category.INTEGRITY: "The file is damaged or changed while it was read; ask the provider to send it again.",
    Category.UNPACK_LIMIT: "The archive exceeds the provider's unpack limits; raise them if it is legitimate.",
    Category.CONFIG: "Correct the named field of the OctoProvider or OctoJob, then rerun.",
    Category.TIMEOUT: "Raise attemptDeadlineSeconds or activeDeadlineSeconds, or look for what made the run slow.",
    Category.CANCELLED: "The run was cancelled; rerun it when wanted.",
    Category.UNKNOWN: "See the log of the run's pod.",
}


def category_of_exit_code(code: int) -> Category | None:
    """The category a worker's exit code stands for; None for 0, ``Unknown`` for a code that is not ours."""
    if code == 0:
        return None
    return _BY_EXIT_CODE.get(code, Category.UNKNOWN)


def leading_category(failures: Mapping[Category, int]) -> Category:
    """The category that stands for all failures of an attempt, from how often each occurred.

    The most frequent of those worth a retry, so that one damaged file or one misled worker does not keep the
    others from being tried again; else the most frequent of all. Ties go by the order of exit codes.
    """
    order = list(EXIT_CODES)
    among = {category: count for category, count in failures.items() if category in RETRYABLE_BY_DEFAULT} or failures
    return max(among, key=lambda category: (among[category], -order.index(category)))
