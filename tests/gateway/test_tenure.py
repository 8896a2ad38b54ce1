"""One gateway a state directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.errors import AlreadyRunning
from appliance.gateway import tenure


def test_second_gateway_on_a_state_directory_is_told_who_serves_it(tmp_path: Path) -> None:
    with tenure.held(tmp_path / "state"):
        with pytest.raises(AlreadyRunning) as refused, tenure.held(tmp_path / "state"):
            pass
        assert str(os.getpid()) in refused.value.message
        with tenure.held(tmp_path / "another"):
            pass
    with tenure.held(tmp_path / "state"):
        pass


def test_directory_that_cannot_be_written_stops_no_gateway(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with tenure.held(tmp_path / "file"):
        assert not (tmp_path / "file" / "gateway.lock").exists()
