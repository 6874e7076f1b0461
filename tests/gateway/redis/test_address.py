from __future__ import annotations

import pytest

from gateway.redis.address import Address, read_address


@pytest.mark.parametrize(
    ("url", "address", "where"),
    [
        ("redis://r", Address(host="r"), "r:6379"),
        ("redis://r:7/3", Address(host="r", port=7, database=3), "r:7"),
        ("redis://r:7/", Address(host="r", port=7), "r:7"),
        ("rediss://:p%2F%40@r", Address(host="r", password="p/@", is_tls=True), "r:6379"),
        ("redis://user:pw@[::1]:7", Address(host="::1", port=7, username="user", password="pw"), "[::1]:7"),
        ("unix:///run/r.sock", Address(path="/run/r.sock"), "/run/r.sock"),
        (
            "unix://u:p@/run/r.sock?db=2",
            Address(path="/run/r.sock", username="u", password="p", database=2),
            "/run/r.sock",
        ),
    ],
)
def test_a_url_says_where_redis_is_and_who_we_are(url: str, address: Address, where: str) -> None:
    read = read_address(url)
    assert (read, read.where) == (address, where)


def test_the_password_stands_in_no_repr() -> None:
    assert "sesame" not in repr(read_address("redis://u:sesame@r"))


@pytest.mark.parametrize(
    "url",
    [
        "http://:sesame@r",
        "redis://:sesame/x@r",
        "redis://:sesame#x@r",
        "redis://:sesame?x@r",
        "redis://:sesame@r:port",
        "redis://:sesame@",
        "redis://:sesame@r/zero",
        "redis://:sesame@r/9999999",
        "redis://:sesame@r?db=1",
        "redis://:sesame@r?socket_timeout=5",
        "redis://sesame@r",
        "redis://[sesame",
        "unix://sesame",
        "unix://sesame/run/r.sock",
        "sesame",
        "",
    ],
)
def test_what_will_not_do_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as error:
        read_address(url)
    assert "sesame" not in str(error.value)
    assert error.value.__cause__ is None and (error.value.__suppress_context__ or not error.value.__context__)
