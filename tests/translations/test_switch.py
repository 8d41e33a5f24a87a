"""The choice of a language in the console's menu."""

import pytest
from django.test import Client

CHOOSE = "/admin/i18n/setlang/"

pytestmark = pytest.mark.django_db


def test_the_choice_is_kept() -> None:
    reader = Client(headers={"Accept-Language": "en"})
    answer = reader.post(CHOOSE, {"language": "fr", "next": "/admin/login/"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/")
    assert 'lang="fr"' in reader.get("/admin/login/").content.decode()


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"language": "xx"},
        {"language": "\0"},
        {"language": "fr" * 5000},
        {"language": "fr", "next": "https://elsewhere.example/"},
        {"language": "fr", "next": "//elsewhere.example/\0"},
        {"language": "fr", "next": "/admin/sagas/saga/no-id/change/"},
    ],
)
def test_it_leads_nowhere_else(asked: dict[str, str]) -> None:
    reader = Client()
    for answer in (reader.post(CHOOSE, asked), reader.get(CHOOSE, asked)):
        if answer.status_code == 400 and "\0" in "".join(asked.values()):
            continue
        assert answer.status_code == 302
        assert answer["Location"].startswith("/")
        assert not answer["Location"].startswith("//")


def test_another_site_cannot_choose() -> None:
    careful = Client(enforce_csrf_checks=True)
    assert careful.post(CHOOSE, {"language": "fr"}).status_code == 403
