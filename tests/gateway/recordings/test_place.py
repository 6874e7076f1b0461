from __future__ import annotations

import pytest

from gateway.recordings.place import read_bucket_url, read_place


@pytest.mark.parametrize(
    ("text", "bucket"),
    [
        ("s3://calls-eu", ("calls-eu", "")),
        ("s3://calls-eu/", ("calls-eu", "")),
        ("s3://calls.eu/prod/voice_1/", ("calls.eu", "prod/voice_1")),
    ],
)
def test_a_bucket_is_named_with_or_without_a_prefix(text: str, bucket: tuple[str, str]) -> None:
    assert read_bucket_url(text) == bucket
    assert read_place(text) == text


@pytest.mark.parametrize(
    "text", ["s3://", "s3://x", "s3://UPPER/x", "s3://bucket/../x", "s3://bucket/a b", "gs://b/c"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="s3://BUCKET"):
        read_place(text)


def test_anything_else_is_a_folder() -> None:
    assert read_place("/var/lib/switchboard/recordings") == "/var/lib/switchboard/recordings"
