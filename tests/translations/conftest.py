from collections.abc import Iterator

import pytest
from django.utils import translation


@pytest.fixture(autouse=True)
def language_as_before() -> Iterator[None]:
    """A request's language stays the thread's until the next request: no test inherits it."""
    yield
    translation.deactivate()
