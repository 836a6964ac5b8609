"""What an answer says that refuses a Job or a pod: of the API server, or of an event about a pod that was not made."""

from __future__ import annotations

import re

from octo_core.domain.causes import CAUSES, Cause

# The first that fits counts; the words are the API server's own.
_PATTERNS = (
    (r"because it is being terminated", "NamespaceTerminating"),
    (r"exceeded quota", "QuotaExceeded"),
    (r"violates PodSecurity", "PodSecurityViolation"),
    (r"failed calling webhook", "WebhookUnavailable"),
    (r"admission webhook .* denied the request|ValidatingAdmissionPolicy .* denied request", "AdmissionDenied"),
    (r"error looking up service account|serviceaccount .* not found", "ServiceAccountMissing"),
)


def refusal_cause(said: str, *, otherwise: str) -> Cause:
    """The cause in the words of a refusal; ``otherwise`` names the one that it is if they say nothing."""
    for pattern, reason in _PATTERNS:
        if re.search(pattern, said):
            return CAUSES[reason]
    return CAUSES[otherwise]
