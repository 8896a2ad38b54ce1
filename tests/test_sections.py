"""The sections of the settings: what each refuses, by name and with what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from appliance.sections import EnergySettings, GatewaySettings, LogSettings, NetworkSettings, Section


def refusal(section: type[Section], **values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        section(**values)
    return str(caught.value)


def test_what_a_section_does_not_know_is_refused_and_nothing_in_it_changes() -> None:
    assert "Extra inputs are not permitted" in refusal(LogSettings, levle="info")
    with pytest.raises(ValidationError, match="frozen"):
        LogSettings().level = "debug"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interactive_hours", ["8 to 22"]),
        ("interactive_hours", ["mon-fry 08:00-22:00"]),
        ("batch_share", 1.1),
        ("app_weights", {"homework-app": 0}),
    ],
)
def test_hours_and_shares_that_cannot_be_meant_are_refused(name: str, value: object) -> None:
    assert name in refusal(GatewaySettings, **{name: value})


@pytest.mark.parametrize("url", ["http://127.0.0.1:9090", "https://prometheus.lan/prefix/", "http://[::1]:9090"])
def test_prometheus_has_an_address(url: str) -> None:
    assert EnergySettings(prometheus_url=url).prometheus_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:9090", "file:///etc/passwd", "http://", "http://a:b@host", "http://host:port", "http://host/?q=1"],
)
def test_what_is_no_address_of_a_prometheus_is_refused(url: str) -> None:
    assert "prometheus_url" in refusal(EnergySettings, prometheus_url=url)


@pytest.mark.parametrize("price", [-1, float("nan"), float("inf"), 10001])
def test_price_of_electricity_is_a_price(price: float) -> None:
    assert "won_per_kwh" in refusal(EnergySettings, won_per_kwh=price)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("lan_subnets", ["192.168.0.7/24"], "did you mean 192.168.0.0/24"),
        ("admin_subnets", ["0.0.0.0/0"], "whole internet"),
        ("ntp_servers", ["time.example"], "is no IP address"),
        ("mail_relay", "mail.example", "is no IP address"),
        ("alert_receivers", ["10.99.0.5"], "write one as 192.168.10.4:443"),
        ("admin_ports", [0], "1 to 65535"),
    ],
)
def test_wrong_network_is_named_with_what_is_wrong(name: str, wrong: object, said: str) -> None:
    assert said in refusal(NetworkSettings, **{name: wrong})
