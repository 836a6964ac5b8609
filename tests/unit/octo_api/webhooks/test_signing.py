"""Secrets and signatures, checked against the vector of Standard Webhooks."""

from __future__ import annotations

import base64

from octo_api.webhooks import signing


def test_the_vector_of_the_specification() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    found = signing.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_sign_side_by_side() -> None:
    headers = signing.headers([b"a", b"b"], "m", 1, b"{}")
    assert headers["webhook-signature"] == " ".join(signing.signature(key, "m", 1, b"{}") for key in (b"a", b"b"))
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("m", "1")


def test_secrets_depend_on_all_that_they_are_made_of() -> None:
    made = {signing.derive(*parts) for parts in (("p", "w", "s"), ("q", "w", "s"), ("p", "v", "s"), ("p", "w", "t"))}
    assert len(made) == 4
    assert signing.text_of(signing.derive("p", "w", "s")).startswith("whsec_")
    assert all(len(secret) == 32 for secret in made)
