"""Calls by a tether: they arrive until it is cut, and then nobody is held by it."""

from __future__ import annotations

import gc
import weakref

from pipeline.tether import Tether, unheard


class Owner:
    """Holds a part that calls it back."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.tether = Tether()
        self.part = (self.tether.to(self.tell, unheard), self.tether.to(self.length, lambda text: -1))

    def tell(self, text: str) -> None:
        self.told.append(text)

    def length(self, text: str) -> int:
        return len(text)


def test_each_call_reaches_its_own_end_until_the_tether_is_cut() -> None:
    owner = Owner()
    tell, length = owner.part
    tell("one")
    assert (owner.told, length(text="three")) == (["one"], 5)
    owner.tether.cut()
    owner.tether.cut()
    tell("two")
    assert (owner.told, length("three")) == (["one"], -1)


def test_whoever_has_cut_it_goes_with_the_last_who_holds_him_though_his_parts_stay() -> None:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        owner = Owner()
        part, gone = owner.part, weakref.ref(owner)
        owner.tether.cut()
        del owner
        assert gone() is None
        assert part[1]("anybody") == -1
    finally:
        if was_enabled:
            gc.enable()
