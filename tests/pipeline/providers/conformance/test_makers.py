"""Nobody is left out of the suite."""

from __future__ import annotations

import pytest

from pipeline.providers.registry import Kind, names
from tests.pipeline.providers.conformance.makers import MAKERS


@pytest.mark.parametrize("kind", MAKERS)
def test_every_provider_of_the_registry_has_its_line(kind: Kind) -> None:
    lines = {line.name.partition("/")[0].partition(",")[0] for line in MAKERS[kind]}
    assert set(names(kind)) <= lines


@pytest.mark.parametrize("kind", MAKERS)
def test_no_two_lines_have_one_name(kind: Kind) -> None:
    lines = [line.name for line in MAKERS[kind]]
    assert len(lines) == len(set(lines))
