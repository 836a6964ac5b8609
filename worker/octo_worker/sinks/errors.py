"""What an S3 server, or the way to it, did wrong; and what that is called in a run's outcome."""

from __future__ import annotations

from xml.etree import ElementTree

from octo_core.domain.failure import Category
from octo_worker.failure import Failed, one_line

REFUSALS = ("AccessDenied", "MethodNotAllowed", "NotImplemented", "NotSupported", "UnsupportedOperation")
"""Codes of a server, or of a policy, that does not do what was asked and would not if asked again."""
_RETRYABLE_STATUS = frozenset({429, 500, 502, 503, 504})
_RETRYABLE_CODES = frozenset(
    {
        "InternalError",
        "SlowDown",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "RequestTimeout",  # 400: the body did not arrive in time
        "OperationAborted",  # 409: another request for the same key is under way
        "ConditionalRequestConflict",
        "BadDigest",  # the body was damaged on its way: the same bytes may arrive whole
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
_AUTH_CODES = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "AccessDenied",
        "XAdminUserNotFound",
        "ExpiredToken",
        "InvalidToken",
    }
)
_CONFIG_CODES = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})


class S3Error(Exception):
    """An operation that failed. ``status`` is None when no answer came."""

    def __init__(self, status: int | None, code: str, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.unclear = sent and (status is None or status >= 500)
        """Whether the server may have done what was asked all the same. Callers that try again keep it set."""
        self.retryable = status is None or status in _RETRYABLE_STATUS or code in _RETRYABLE_CODES
        """Whether the same request may fare better."""

    @property
    def refused(self) -> bool:
        """Whether the server does not do this at all, or not for this account."""
        return self.code in REFUSALS or self.status in (405, 501)

    def failed(self, doing: str, bucket: str) -> Failed:
        """The verdict on the file, or the run, that needed this."""
        text = f"{doing}: {one_line(self)}"
        if self.code in _AUTH_CODES or self.status in (401, 403):
            return Failed(Category.AUTH, text)
        if self.code == "NoSuchBucket":
            return Failed(Category.CONFIG, f"there is no bucket {bucket}")
        if self.code in _CONFIG_CODES or self.status in (301, 307, 308):
            return Failed(Category.CONFIG, f"{text} (check destination.s3.region and endpoint)")
        return Failed(Category.SINK_UNAVAILABLE, text)


def from_answer(status: int, body: bytes) -> S3Error:
    """The error that an answer tells."""
    root = parsed(body)
    code = text_of(root, "Code") if root is not None else ""
    message = text_of(root, "Message") if root is not None else ""
    said = ": ".join(part for part in (f"the store answered {status}", code, message) if part)
    return S3Error(status, code, said)


def parsed(body: bytes) -> ElementTree.Element | None:
    """The root of an XML document, names without their namespace; None if it is none."""
    try:
        # Expat, since 2.4.1, stops entity bombs; it loads nothing from outside.
        root = ElementTree.fromstring(body.strip())  # noqa: S314
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text_of(element: ElementTree.Element | None, name: str) -> str:
    """The text of a child element, or the empty string."""
    if element is None:
        return ""
    return (element.findtext(name) or "").strip()


def raw_text(element: ElementTree.Element, name: str) -> str:
    """The same as it is: a key may begin or end with a space."""
    return element.findtext(name) or ""
