"""Signatures, held against those that the AWS Common Runtime makes of the same requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from awscrt import auth
from awscrt import http as crt_http
from hypothesis import example, given
from hypothesis import strategies as st

from octo_core.domain.provider import S3Destination
from octo_worker.sinks.address import address_of
from octo_worker.sinks.keys import Keys
from octo_worker.sinks.signing import UNSIGNED, signed

KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SESSION = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "planted/token+with==")
AT = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
AWKWARD = "in/a b/c+d=&%41%/#?*~'\"<>|\\é日本,;:@$!()[]{}^`\ufffe\U0001f600\x7f\t.csv"

text = st.text(st.characters(codec="utf-8"), max_size=30)
header_values = st.text(st.sampled_from("abc,;:/=+\"'% ~\t"), max_size=30)
header_names = st.from_regex(r"x-amz-meta-[a-z][a-z0-9-]{0,20}", fullmatch=True)


def by_runtime(
    method: str, target: str, headers: dict[str, str], payload: str, keys: Keys, region: str, at: datetime
) -> dict[str, str]:
    request = crt_http.HttpRequest(method, target, crt_http.HttpHeaders(list(headers.items())))
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=auth.AwsCredentialsProvider.new_static(
            keys.access_key_id, keys.secret_access_key, keys.session_token
        ),
        region=region,
        service="s3",
        date=at,
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value=payload,
        signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
    )
    auth.aws_sign_request(request, config).result(60)
    return {name.lower(): value for name, value in request.headers}


@pytest.mark.parametrize("keys", [KEYS, SESSION], ids=["keys", "session"])
@pytest.mark.parametrize("payload", [EMPTY, UNSIGNED])
@pytest.mark.parametrize("path_style", [True, False], ids=["path", "virtual"])
@pytest.mark.parametrize("region", ["us-east-1", "cn-north-1"])
@pytest.mark.parametrize(
    ("method", "key", "query", "headers"),
    [
        ("GET", "", {"list-type": "2", "encoding-type": "url", "max-keys": "1000", "prefix": "in/ä +&="}, {}),
        ("GET", "", {"uploads": "", "encoding-type": "url", "key-marker": "a&b=c", "upload-id-marker": "x/+="}, {}),
        ("PUT", AWKWARD, {}, {"if-none-match": "*", "content-length": "3", "x-amz-meta-source-path": "a%20b"}),
        ("PUT", AWKWARD, {"partNumber": "10", "uploadId": "a/b+c="}, {"content-length": "3", "content-md5": "a/b+c=="}),
        ("POST", "a/b", {"uploads": ""}, {"x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:x:1:key/2"}),
        ("POST", "a/b", {"uploadId": "z~-_."}, {"content-type": "application/xml", "x-amz-checksum-crc32": "AAAA=="}),
        ("HEAD", "a", {}, {}),
        ("DELETE", "a//b", {"tagging": ""}, {"x-amz-meta-spaces": "  a   b\tc  "}),
    ],
)
def test_the_calls_that_the_sink_makes(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    path_style: bool,
    region: str,
    payload: str,
    keys: Keys,
) -> None:
    address = address_of(S3Destination(bucket="landing", region=region, path_style=path_style))
    every = {"host": address.host, **headers}
    target = address.target(key, query)
    ours = signed(method, target, every, payload, keys=keys, region=region, at=AT)
    assert ours == by_runtime(method, target, every, payload, keys, region, AT)


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    key=text,
    query=st.dictionaries(text.filter(bool), text, max_size=5),
    headers=st.dictionaries(header_names, header_values, max_size=5),
    keys=st.sampled_from([KEYS, SESSION]),
    endpoint=st.sampled_from([None, "http://127.0.0.1:9000", "https://store.example/s3"]),
    path_style=st.booleans(),
    at=st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
@example("GET", "\ufffe", {"a": "", "A": "", "a-": "1", "aé": "2"}, {}, KEYS, None, True, AT)
def test_any_request(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    keys: Keys,
    endpoint: str | None,
    path_style: bool,
    at: datetime,
) -> None:
    address = address_of(S3Destination(bucket="landing", endpoint=endpoint, path_style=path_style))
    every = {"host": address.host, **headers}
    target = address.target(key, query)
    ours = signed(method, target, every, UNSIGNED, keys=keys, region="eu-west-1", at=at)
    assert ours == by_runtime(method, target, every, UNSIGNED, keys, "eu-west-1", at)


def test_a_time_is_told_in_utc_whatever_zone_it_comes_in() -> None:
    there = AT.astimezone(timezone(timedelta(hours=14)))
    one, other = (signed("GET", "/", {"host": "h"}, EMPTY, keys=KEYS, region="x", at=at) for at in (AT, there))
    assert one == other
    assert one["x-amz-date"] == "20260228T235959Z"


def test_what_is_signed_is_given_back_in_lower_case() -> None:
    given = {"Host": "h", "X-Amz-Meta-A": "1"}
    headers = signed("GET", "/", given, EMPTY, keys=KEYS, region="x", at=AT)
    assert headers.keys() == {
        "host",
        "x-amz-meta-a",
        "x-amz-content-sha256",
        "x-amz-date",
        "authorization",
    }
    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a, " in headers["authorization"]
    assert KEYS.secret_access_key not in str(headers)
