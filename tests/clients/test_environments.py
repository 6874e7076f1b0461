"""Environments are made once, made again when half made, and made anew when their lock changes."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from tests.clients.environments import ENVIRONMENTS, STAMP, Environment, EnvironmentFault, Interpreter


class Installer:
    """Writes down what it was asked to install; fails when told to."""

    def __init__(self) -> None:
        self.places: list[Path] = []
        self.fails = False

    def __call__(self, place: Path, locks: tuple[Path, ...], interpreter: Interpreter) -> None:
        assert list(place.iterdir()) == []
        self.places.append(place)
        (place / "package").write_text("half of it")
        if self.fails:
            raise EnvironmentFault("the network is gone")


@pytest.fixture
def installer() -> Installer:
    return Installer()


@pytest.fixture
def environment(tmp_path: Path, installer: Installer) -> Environment:
    lock = tmp_path / "requirements.txt"
    lock.write_text("a==1\n")
    return Environment(
        "client",
        (lock,),
        lambda: Interpreter("python", "python 3.11.7"),
        installer,
        lambda place, interpreter: [interpreter.command, str(place)],
        lambda: tmp_path / "cache",
    )


def quiet(_line: str) -> None: ...


def test_what_is_finished_is_not_made_again(environment: Environment, installer: Installer) -> None:
    assert environment.build(quiet)
    assert not environment.build(quiet)
    assert installer.places == [environment.place]
    assert environment.command() == ["python", str(environment.place)]


def test_what_was_given_up_half_way_is_made_again_from_nothing(
    environment: Environment, installer: Installer
) -> None:
    installer.fails = True
    with pytest.raises(EnvironmentFault, match="network"):
        environment.build(quiet)
    assert not (environment.place / STAMP).exists()
    installer.fails = False
    assert environment.build(quiet)


def test_without_its_environment_a_client_says_what_to_run(environment: Environment) -> None:
    with pytest.raises(EnvironmentFault, match="make test-clients"):
        environment.command()


def test_another_lock_or_another_interpreter_has_another_place(environment: Environment) -> None:
    before = environment.place
    newer = dataclasses.replace(environment, interpreter=lambda: Interpreter("python", "python 3.13.0"))
    environment.locks[0].write_text("a==2\n")
    assert len({before, environment.place, newer.place}) == 3


def test_two_at_once_make_it_once(environment: Environment, installer: Installer) -> None:
    made: list[bool] = []
    threads = [threading.Thread(target=lambda: made.append(environment.build(quiet))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False, False, False, True]
    assert len(installer.places) == 1


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_locks_pin_every_package_and_name_no_host(name: str) -> None:
    for lock in ENVIRONMENTS[name].locks:
        text = lock.read_text()
        assert "--" not in text and "@ " not in text and '"resolved"' not in text
        if lock.suffix == ".txt":
            assert all("==" in line for line in text.splitlines())
