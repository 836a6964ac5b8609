"""Who writes to the store: fixed keys of the run's Secret, or the pod's own workload identity.

Keys come from one source, a callable that gives those of now. An identity that
the pod has through a web identity token (IRSA, or any STS that ``AWS_ENDPOINT_URL_STS`` names) is
exchanged here; every other kind (EKS Pod Identity, a container's or an instance's role, a profile)
is found by the default chain of the AWS Common Runtime.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from octo_core.domain.failure import Category
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.sinks.errors import S3Error, from_answer, parsed, text_of
from octo_worker.sinks.http import ERRORS, Pool
from octo_worker.sinks.keys import Keys, KeySource
from octo_worker.sinks.retries import Halt, Patience

_RENEW_BEFORE = timedelta(minutes=10)
_RENEW_EVERY = timedelta(seconds=30)
_CHAIN_SECONDS = 30.0
_STS_SECONDS = 10.0
_NONE = "destination.s3 has no credentialsSecretRef, and the pod's workload identity gives no credentials"


def key_source(
    secrets: Secrets, region: str, environment: Mapping[str, str] = os.environ, halt: Halt | None = None
) -> KeySource:
    """The source that the run's Secret and the pod's environment call for."""
    access_key = secrets.line("s3", "accessKeyId")
    secret_key = secrets.line("s3", "secretAccessKey")
    if (access_key is None) != (secret_key is None):
        raise Failed(Category.CONFIG, "the S3 Secret must have both accessKeyId and secretAccessKey")
    if access_key is not None and secret_key is not None:
        keys = Keys(access_key, secret_key, secrets.line("s3", "sessionToken") or None)
        for name, value in (("accessKeyId", access_key), ("sessionToken", keys.session_token or "")):
            if not value.isascii() or not value.isprintable():
                raise Failed(Category.CONFIG, f"secret s3/{name} is not what S3 gives out: one line of printable ASCII")
        return lambda: keys
    token_file, role = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"), environment.get("AWS_ROLE_ARN")
    if token_file and role:
        region = environment.get("AWS_REGION") or region
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        endpoint = environment.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.{domain}"
        session = environment.get("AWS_ROLE_SESSION_NAME") or "octo-worker"
        return Renewed(WebIdentity(endpoint, role, session, Path(token_file), halt or Halt()))
    return Renewed(_default_chain)


class Renewed:
    """Keeps keys until shortly before they expire. Keys that cannot be renewed yet are used to their end."""

    def __init__(self, fetch: KeySource, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._fetch = fetch
        self._now = now
        self._keys: Keys | None = None
        self._asked_at = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def __call__(self) -> Keys:
        """The keys of now."""
        with self._lock:
            keys, now = self._keys, self._now()
            if keys is not None and (keys.expires_at is None or keys.expires_at - now > _RENEW_BEFORE):
                return keys
            usable = keys is not None and keys.expires_at is not None and keys.expires_at > now
            if keys is not None and usable and now - self._asked_at < _RENEW_EVERY:
                return keys
            self._asked_at = now
            try:
                self._keys = self._fetch()
            except Failed:
                if keys is None or not usable:
                    raise
                return keys
            return self._keys


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """Exchanges the token that Kubernetes mounts for keys of a role, by STS."""

    endpoint: str
    role: str
    session: str
    token_file: Path
    halt: Halt = field(default_factory=Halt)
    patience: Patience = field(default_factory=Patience)

    def __call__(self) -> Keys:
        """Fresh keys. The token is read anew each time, as Kubernetes rotates it."""
        try:
            token = self.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(Category.CONFIG, f"the web identity token cannot be read: {type(error).__name__}") from None
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": self.role,
            "RoleSessionName": self.session,
            "WebIdentityToken": token,
        }
        place = urlsplit(self.endpoint)
        pool = Pool(f"{place.scheme}://{place.netloc}")
        try:
            body = self.patience.run(lambda: self._asked(pool, form), self.halt)
        except S3Error as error:
            category = Category.SINK_UNAVAILABLE if error.retryable else Category.AUTH
            raise Failed(category, f"asking STS for credentials: {error}") from None
        finally:
            pool.close()
        root = parsed(body)
        found = root.find(".//Credentials") if root is not None else None
        key, secret = text_of(found, "AccessKeyId"), text_of(found, "SecretAccessKey")
        if not key or not secret:
            raise Failed(Category.AUTH, "asking STS for credentials: the answer holds none")
        expiration = text_of(found, "Expiration")
        expires_at = datetime.fromisoformat(expiration.replace("Z", "+00:00")) if expiration else None
        return Keys(key, secret, text_of(found, "SessionToken") or None, expires_at)

    def _asked(self, pool: Pool, form: dict[str, str]) -> bytes:
        place = urlsplit(self.endpoint)
        headers = {"host": place.netloc, "content-type": "application/x-www-form-urlencoded"}
        try:
            answer = pool.ask("POST", place.path or "/", headers, urlencode(form).encode(), seconds=_STS_SECONDS)
        except ERRORS as error:
            # Its text may quote what was sent.
            raise S3Error(None, "", f"{type(error).__name__} at {place.hostname}") from None
        if 200 <= answer.status < 300:
            return answer.data
        root = parsed(answer.data)
        told = root.find("Error") if root is not None else None
        if told is not None:
            code, message = text_of(told, "Code"), text_of(told, "Message").replace(form["WebIdentityToken"], "…")
            raise S3Error(answer.status, code, f"the answer was {answer.status}: {code}: {message}")
        raise from_answer(answer.status, answer.data)


def _default_chain() -> Keys:
    # Here, as it is a library of its own that only a run without keys and web identity needs.
    from awscrt import auth, exceptions, io

    try:
        bootstrap = io.ClientBootstrap.get_or_create_static_default()
        found: Any = auth.AwsCredentialsProvider.new_default_chain(bootstrap).get_credentials().result(_CHAIN_SECONDS)
    except (exceptions.AwsCrtError, TimeoutError) as error:
        raise Failed(Category.AUTH, f"{_NONE} ({type(error).__name__})") from None
    return Keys(found.access_key_id, found.secret_access_key, found.session_token, found.expiration)
