"""Accounts of people on the installed machine: which passwords are taken, and when an account is locked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.conftest import Installed
from tests.host.machine import Result

NAME, PASSWORD = "locksmith", "Seven-green-bicycles-1"
ATTEMPTS = 5


@pytest.fixture
def account(installed: Installed) -> Iterator[str]:
    installed.machine.check("useradd", NAME)
    yield NAME
    installed.machine.check("faillock", "--user", NAME, "--reset")
    installed.machine.check("userdel", NAME)


def set_password(installed: Installed, password: str) -> Result:
    return installed.machine.run("sh", "-c", f"echo '{NAME}:{password}' | chpasswd")


def log_in(installed: Installed, password: str) -> Result:
    """As ``su`` asked by somebody without rights."""
    nobody = "setpriv --reuid nobody --regid nogroup --clear-groups"
    return installed.machine.run("sh", "-c", f"echo '{password}' | {nobody} su {NAME} --command true")


def test_weak_password_is_refused_and_a_good_one_taken(installed: Installed, account: str) -> None:
    assert set_password(installed, "password1234").rc != 0
    assert set_password(installed, PASSWORD).rc == 0
    assert log_in(installed, PASSWORD).rc == 0


def test_account_is_locked_after_failed_log_ins(installed: Installed, account: str) -> None:
    assert set_password(installed, PASSWORD).rc == 0
    for _ in range(ATTEMPTS):
        assert log_in(installed, "wrong").rc != 0
    assert log_in(installed, PASSWORD).rc != 0
    installed.machine.check("faillock", "--user", account, "--reset")
    assert log_in(installed, PASSWORD).rc == 0


def test_administrators_account_has_no_password_that_could_end(installed: Installed) -> None:
    said = installed.machine.check("chage", "--list", "boxadmin")
    assert "Password expires" in said
    assert said.split("Password expires", 1)[1].splitlines()[0].endswith("never")
