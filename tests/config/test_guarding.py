"""Who ends TLS, whose pages may call the API, and what participants are shown."""

from __future__ import annotations

import pytest

from sagaproject.config import Environment
from sagaproject.credentials import authorizations
from sagaproject.gateway import cors, tls


@pytest.mark.parametrize(
    ("given", "production", "found"),
    [("", True, True), ("", False, False), ("off", True, False), ("ON", False, True)],
)
def test_production_is_taken_to_be_behind_tls(given, production, found):
    env = Environment({"SAGA_TLS": given})
    assert tls(env, production=production) is found
    assert env.problems == []


def test_origins():
    origins = "https://shop.example.com, http://localhost:5173,http://[::1]:80"
    env = Environment({"CORS_ALLOWED_ORIGINS": origins})
    assert cors(env) == ["https://shop.example.com", "http://localhost:5173", "http://[::1]:80"]
    assert env.problems == []
    assert cors(Environment({})) == []


@pytest.mark.parametrize(
    "wrong",
    [
        *("*", "null", "shop.example.com", "https://", "https://a/", "https://a/b", "https://a?b"),
        *("ftp://a", "https://*.a", "https://u:p@a", "https://a:99999", "https://a b", "http://["),
    ],
)
def test_what_is_no_origin_is_told_and_left_out(wrong):
    env = Environment({"CORS_ALLOWED_ORIGINS": f"https://good,{wrong}"})
    assert cors(env) == ["https://good"]
    [problem] = env.problems
    assert (problem.id, repr(wrong) in problem.message) == ("sagas.E014", True)


def test_authorizations_are_of_their_participants():
    env = Environment(
        {
            "PARTICIPANT_PAYMENT_AUTHORIZATION": " Bearer abc ",
            "PARTICIPANT_BIG_BANK_AUTHORIZATION": 'Digest a="b", c="d"',
            "PARTICIPANT_SALES_AUTHORIZATION": "",
            "PARTICIPANT_SALES_URL": "http://sales",
        }
    )
    assert authorizations(env) == {"payment": "Bearer abc", "big_bank": 'Digest a="b", c="d"'}
    assert env.problems == []


@pytest.mark.parametrize(
    "wrong", ["Bearer hush\n", "Bearer\r\nX: hush", "hush\t1", "hush\0", "hüsh"]
)
def test_one_that_no_header_may_have_is_told_without_its_value(wrong):
    env = Environment({"PARTICIPANT_PAYMENT_AUTHORIZATION": wrong})
    assert authorizations(env) == {}
    [problem] = env.problems
    assert problem.id == "sagas.E015"
    assert "PARTICIPANT_PAYMENT_AUTHORIZATION" in problem.message
    assert "sh" not in problem.message.replace("PARTICIPANT_PAYMENT", "")
