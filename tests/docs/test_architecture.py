"""ARCHITECTURE.md says what the code does."""

from pathlib import Path

from sagas.domain.table import markdown

ROOT = Path(__file__).resolve().parents[2]


def test_the_transition_table_is_the_codes() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = page.split("<!-- transitions -->\n")[1].split("\n<!-- /transitions -->")[0]
    assert table == markdown(), "run `./run manage transitions` and put its table there"


def test_the_modules_named_are_there() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = {word.strip("`,|()") for word in page.split() if word.strip("`,|()").endswith(".py")}
    for name in named:
        places = [ROOT / name, *(ROOT / "sagas" / part / name for part in ("domain", "admin"))]
        assert any(place.exists() for place in places), name
