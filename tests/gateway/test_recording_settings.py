"""The declarations of what recordings need; that they are read as settings is the settings' own test."""

from __future__ import annotations

import pytest

from gateway import recording_settings
from gateway.setting import Setting


def declared(field: object) -> Setting:
    assert hasattr(field, "metadata")
    assert hasattr(field, "default")
    return Setting(field="", default=field.default, **field.metadata)


@pytest.mark.parametrize(
    ("field", "name", "default", "text", "value"),
    [
        (recording_settings.RECORD, "SWITCHBOARD_RECORD", "off", "ALL", "all"),
        (recording_settings.RECORDINGS, "SWITCHBOARD_RECORDINGS", "", "s3://calls/eu", "s3://calls/eu"),
        (recording_settings.SPOOL, "SWITCHBOARD_RECORDINGS_SPOOL", "/var/tmp/switchboard-recordings", "/x", "/x"),
        (recording_settings.DAYS, "SWITCHBOARD_RECORDINGS_DAYS", 0, "30", 30),
        (recording_settings.FORMAT, "SWITCHBOARD_RECORDINGS_FORMAT", "g711", "pcm16", "pcm16"),
    ],
)
def test_each_has_its_name_its_default_and_its_reader(
    field: object, name: str, default: object, text: str, value: object
) -> None:
    setting = declared(field)
    assert (setting.name, setting.default, setting.read(text)) == (name, default, value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (recording_settings.RECORD, "some"),
        (recording_settings.RECORDINGS, "s3://"),
        (recording_settings.RECORDINGS, "https://example.com"),
        (recording_settings.DAYS, "-1"),
        (recording_settings.FORMAT, "mp3"),
    ],
)
def test_what_will_not_do_is_refused(field: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        declared(field).read(text)
