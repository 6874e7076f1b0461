"""The demo page's files: what is served, as what, and what a browser is told about them."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.demo_page import page

CLIENT = TestClient(Starlette(routes=page.routes()))
NAMES = sorted(place.name for place in page.STATIC.iterdir())


def test_the_page_is_served_as_html() -> None:
    answer = CLIENT.get("/demo")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (page.STATIC / page.INDEX).read_bytes()


def test_every_file_there_is_has_its_fixed_name() -> None:
    assert NAMES == sorted((page.INDEX, *page.FILES))


@pytest.mark.parametrize("name", page.FILES)
def test_a_file_is_served_with_the_type_a_browser_insists_on(name: str) -> None:
    answer = CLIENT.get(f"/demo/{name}")
    assert answer.status_code == 200
    kind = "text/javascript" if name.endswith(".js") else "text/css"
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.content == (page.STATIC / name).read_bytes()


@pytest.mark.parametrize("path", ["/demo", *(f"/demo/{name}" for name in page.FILES)])
def test_every_answer_says_what_a_browser_may_do_with_it(path: str) -> None:
    headers = CLIENT.get(path).headers
    assert headers["cache-control"] == "no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    policy = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
    assert {policy[one] for one in ("default-src", "script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy["media-src"] == "'self' blob:"
    assert "unsafe" not in headers["content-security-policy"]


@pytest.mark.parametrize(
    "name", ["page.py", "../page.py", "..%2fpage.py", "index.html", "call.js/", "%2e%2e/page.py", "CALL.JS", ""]
)
def test_no_other_name_leads_anywhere(name: str) -> None:
    answer = CLIENT.get(f"/demo/{name}", follow_redirects=False)
    # A slash too many is sent to the name without it, which is one of the fixed ones.
    assert answer.status_code == (307 if name in ("", "call.js/") else 404)


def test_only_reading_is_served() -> None:
    assert CLIENT.head("/demo").status_code == 200
    assert CLIENT.post("/demo").status_code == 405


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_loaded_from_elsewhere_and_no_file_grows_too_long(name: str) -> None:
    text = (page.STATIC / name).read_text()
    # The icon's namespace is a name, which nothing is loaded from.
    assert re.findall(r"\bhttps?://(?!localhost\b|www\.w3\.org/2000/svg')", text) == []
    assert text.count("\n") <= 350


def test_nothing_on_the_page_is_inline() -> None:
    text = (page.STATIC / page.INDEX).read_text()
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text) == []
    assert re.findall(r"<script[^>]*>", text) == ['<script type="module" src="demo/demo.js">']


def test_modules_import_only_what_is_served() -> None:
    imported = {
        name for one in page.FILES for name in re.findall(r'from "\./([^"]+)"', (page.STATIC / one).read_text())
    }
    assert imported == {one for one in page.FILES if one.endswith(".js")} - {"demo.js"}
