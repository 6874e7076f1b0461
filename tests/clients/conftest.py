"""One gateway and one run of every client's program, for all tests of this directory that were selected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import cast

import pytest

from tests.clients.answering import answering
from tests.clients.programs import Report, Reports, played


@pytest.fixture(scope="session")
def reports(request: pytest.FixtureRequest) -> Iterator[Reports]:
    """What the clients reported. Only the scenarios of selected tests are played."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for item in request.session.items:
        if isinstance(item, pytest.Function) and "reports" in item.fixturenames:
            client, scenario = cast("tuple[str, str]", item.callspec.params["report"])
            if scenario not in wanted[client]:
                wanted[client].append(scenario)
    with answering() as address, played(address, wanted) as one:
        yield one


@pytest.fixture
def report(reports: Reports, request: pytest.FixtureRequest) -> Report:
    """One client's report of one scenario, which `verdicts.plays` names."""
    client, scenario = request.param
    return reports.of(client, scenario)
