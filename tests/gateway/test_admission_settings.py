from __future__ import annotations

import pytest

from gateway import setting_declarations as settings
from gateway.admission_settings import read_hold_music
from gateway.setting import written

NAMES = ("MAX_CALLS_PER_LINE", "MAX_LAG_MS", "OVERFLOW", "QUEUE_LIMIT_S", "HOLD_MUSIC")
BY_NAME = {name: settings.BY_NAME[f"SWITCHBOARD_{name}"] for name in NAMES}


def test_each_default_reads_back_as_itself() -> None:
    for setting in BY_NAME.values():
        if text := written(setting.default):
            assert setting.read(text) == setting.default
    assert written(BY_NAME["OVERFLOW"].default) == "apology"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("OVERFLOW", "queue, pigeon", "'pigeon' is not one of"),
        ("QUEUE_LIMIT_S", "5", "not a whole number from 10"),
        ("MAX_LAG_MS", "-1", "not a whole number"),
        ("HOLD_MUSIC", "music.mp3", "no http or https URL"),
    ],
)
def test_a_faulty_value_is_refused_with_what_is_expected(name: str, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        BY_NAME[name].read(text)


def test_music_is_any_url_that_twilio_can_fetch() -> None:
    assert read_hold_music("https://cdn.example/hold.mp3?x=1") == "https://cdn.example/hold.mp3?x=1"
