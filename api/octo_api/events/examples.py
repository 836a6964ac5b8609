"""Examples in the OpenAPI document."""

from __future__ import annotations

from typing import Any

FAILED: dict[str, Any] = {
    "id": 4711,
    "type": "job.failed",
    "version": 1,
    "timestamp": "2026-01-02T03:04:05Z",
    "namespace": "octo",
    "provider": "bank",
    "jobId": "5a1c9f0e-7d0b-4b52-9d0a-3f1f6f6b2f11",
    "jobName": "oj-7k2m4q6s8u3w5y7a9c1e",
    "sequence": 5,
    "data": {
        "state": "Failed",
        "previousState": "Running",
        "attempt": 3,
        "reason": "HostKeyMismatch",
        "failure": {
            "category": "HostKey",
            "reason": "HostKeyMismatch",
            "message": "the server's key is not the pinned one",
            "resolution": "ask the provider before pinning the new one",
            "retryable": False,
        },
        "progress": {"filesListed": 12, "filesSelected": 12, "filesDone": 0, "summary": "0/12"},
    },
}

PAGE: dict[str, Any] = {"items": [FAILED], "lastId": 4711, "more": False}

STREAM = """retry: 2000

: heartbeat
id: 4710

id: 4711
event: job.failed
data: {"id":4711,"type":"job.failed","version":1,"timestamp":"2026-01-02T03:04:05Z","namespace":"octo",…}

"""
