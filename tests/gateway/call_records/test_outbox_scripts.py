from __future__ import annotations

import re

import pytest

from gateway.call_records import outbox_scripts
from gateway.redis.script import Script

SCRIPTS = [script for script in vars(outbox_scripts).values() if isinstance(script, Script)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_touches_only_the_keys_it_is_given(script: Script) -> None:
    named = re.findall(r"redis\.call\('[A-Z]+', ([^,)]+)", script.text)
    assert named
    assert set(named) <= {"due", "letters", "put", "dead", "done", "key"}


def test_each_step_of_a_letter_has_its_script() -> None:
    assert sorted(script.name.removeprefix("outbox_") for script in SCRIPTS) == [
        "bury", "claim", "deliver", "put", "put_off", "revive",
    ]  # fmt: skip
