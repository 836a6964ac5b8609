"""All parts of authentication, put together as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from octo_api.audit.intents import Intents
from octo_api.auth.access_review import AccessReviewRights
from octo_api.auth.api_keys import ApiKeyService
from octo_api.auth.bindings import BindingRights, Rights
from octo_api.auth.jwks import IssuerKeys
from octo_api.auth.keyring import KeyRing
from octo_api.auth.keys import KnownKeys
from octo_api.auth.oidc import OpenIdConnect
from octo_api.auth.service import AuthService
from octo_api.auth.service_accounts import ServiceAccounts
from octo_api.auth.settings import AuthSettings
from octo_api.auth.throttle import FailedLogins
from octo_core.db.session import Database
from octo_core.kube.client import KubeClient


@dataclass(frozen=True, slots=True)
class Auth:
    """What the rest of the process uses of it."""

    service: AuthService
    known_keys: KnownKeys
    api_keys: ApiKeyService
    key_ring: KeyRing
    failed: FailedLogins


def assemble(
    settings: AuthSettings,
    *,
    database: Database,
    kube: KubeClient,
    namespace: str,
    intents: Intents,
    clock: Callable[[], datetime],
    random: Callable[[int], bytes],
) -> Auth:
    """Make the parts; none does any I/O before it is used."""
    keys = KnownKeys(
        database,
        peppers=settings.peppers,
        remembered=timedelta(seconds=settings.credential_cache_seconds),
        clock=clock,
    )
    ring = KeyRing(
        database,
        secret=settings.token_signing_key.get_secret_value(),
        rotation=settings.token_key_rotation,
        token_ttl=settings.token_ttl,
        clock=clock,
        random=random,
    )
    failed = FailedLogins(per_minute=settings.failed_logins_per_minute, clock=clock)
    service = AuthService(
        keys=keys,
        ring=ring,
        service_accounts=ServiceAccounts(kube, audience=settings.service_account_audience, clock=clock),
        oidc=_oidc(settings, clock),
        rights=_rights(settings, kube, namespace, clock),
        failed=failed,
        token_ttl=settings.token_ttl,
        session=settings.session,
        clock=clock,
    )
    return Auth(
        service,
        known_keys=keys,
        api_keys=ApiKeyService(database, auth=service, keys=keys, intents=intents, clock=clock, random=random),
        key_ring=ring,
        failed=failed,
    )


def _rights(settings: AuthSettings, kube: KubeClient, namespace: str, clock: Callable[[], datetime]) -> Rights:
    if settings.subject_access_review:
        return AccessReviewRights(kube, namespace=namespace, clock=clock)
    return BindingRights(settings.auth_bindings)


def _oidc(settings: AuthSettings, clock: Callable[[], datetime]) -> OpenIdConnect | None:
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    return OpenIdConnect(
        IssuerKeys(
            issuer=settings.oidc_issuer, jwks_url=settings.oidc_jwks_url, ca_file=settings.oidc_ca_file, clock=clock
        ),
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        username_claim=settings.oidc_username_claim,
        groups_claim=settings.oidc_groups_claim,
        prefix=settings.oidc_prefix,
        clock=clock,
    )
