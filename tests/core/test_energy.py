"""Joules, won and shares: exact units, and parts that add up to the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core import energy
from appliance.core.energy import Measured, TokenPrice
from appliance.core.usage import Place, Tally

HOUR = 3600
NOON = 1_767_268_800  # 2026-01-01T12:00Z
TALLIES = st.builds(
    Tally, requests=st.integers(1, 1000), input_tokens=st.integers(0, 10**9), output_tokens=st.integers(0, 10**9)
)


def at(hour: int, app: str = "homework", model: str = "llama") -> Place:
    return Place(NOON + hour * HOUR, app, model)


def measured(joules: float, first_hour: float = 0, last_hour: float = 24) -> Measured:
    return Measured(joules, NOON + first_hour * HOUR, NOON + last_hour * HOUR)


def test_kilowatt_hour_is_a_kilowatt_for_an_hour() -> None:
    joules = 1000 * 3600
    assert measured(joules).kwh == 1
    assert energy.won(joules, 141) == 141


def test_card_of_350_watts_costs_a_known_sum_a_day() -> None:
    # 350 W for 24 h are 8.4 kWh; at 141 won they are 1,184.4 won.
    day = energy.cost({at(0): Tally(output_tokens=700_000)}, measured(350 * 24 * HOUR), 141)
    assert day.won == pytest.approx(1184.4, rel=1e-12)
    assert day.won_per_1000_output_tokens == pytest.approx(1.692, rel=1e-12)
    assert day.joules_per_1000_output_tokens == pytest.approx(43_200, rel=1e-12)


def test_energy_is_spread_by_output_and_not_by_input() -> None:
    booked = {at(0, "quiz"): Tally(input_tokens=9_000, output_tokens=100), at(1): Tally(output_tokens=300)}
    quiz, homework = sorted(energy.cost(booked, measured(7_200_000), 100).apps, key=lambda part: part.share)
    assert (quiz.app, quiz.share, quiz.joules, quiz.won) == ("quiz", 0.25, 1_800_000, 50)
    assert (homework.app, homework.share, homework.joules, homework.won) == ("homework", 0.75, 5_400_000, 150)


def test_one_app_with_two_models_is_one_part() -> None:
    booked = {at(0, model="a"): Tally(output_tokens=1), at(0, model="b"): Tally(output_tokens=2)}
    (part,) = energy.cost(booked, measured(3.0), 100).apps
    assert (part.tally.output_tokens, part.share) == (3, 1.0)


@given(st.dictionaries(st.text(), TALLIES, min_size=1), st.floats(0, 1e12), st.floats(0.01, 10_000))
def test_parts_add_up_to_the_whole_if_there_was_any_output(apps: dict[str, Tally], joules: float, price: float) -> None:
    whole = energy.cost({at(0, app): tally for app, tally in apps.items()}, measured(joules), price)
    parts = sum(part.won or 0 for part in whole.apps)
    assert parts == pytest.approx(whole.won if whole.used.output_tokens else 0)
    assert sum(part.share for part in whole.apps) == pytest.approx(1 if whole.used.output_tokens else 0)
    assert whole.used.input_tokens == sum(tally.input_tokens for tally in apps.values())


def test_energy_without_output_costs_and_belongs_to_nobody() -> None:
    idle = energy.cost({at(0): Tally(requests=1, input_tokens=5)}, measured(3_600_000), 141)
    assert idle.won == 141
    assert idle.won_per_1000_output_tokens is None
    assert [part.won for part in idle.apps] == [0]


def test_tokens_of_hours_without_energy_are_kept_apart() -> None:
    booked = {at(hour): Tally(output_tokens=10**hour) for hour in range(5)}
    # Measured from half past the second hour to the beginning of the fourth.
    found = energy.cost(booked, measured(1.0, 1.5, 3.0), 141)
    assert found.used.output_tokens == 1110
    assert found.unmeasured.output_tokens == 10_001
    assert sum(part.share for part in found.apps) == 1


def test_without_energy_there_are_tokens_alone() -> None:
    found = energy.cost({at(0): Tally(output_tokens=4), at(9, "quiz"): Tally(output_tokens=1)}, None, 141)
    assert (found.won, found.won_per_1000_output_tokens, found.joules_per_1000_output_tokens) == (None, None, None)
    assert [(part.app, part.share, part.joules, part.won) for part in found.apps] == [
        ("homework", 0.8, None, None),
        ("quiz", 0.2, None, None),
    ]
    assert found.unmeasured == Tally()


def test_price_of_zero_switches_cost_off_and_leaves_energy() -> None:
    found = energy.cost({at(0): Tally(output_tokens=1000)}, measured(3_600_000), 0)
    assert (found.won, found.won_per_1000_output_tokens) == (None, None)
    assert found.joules_per_1000_output_tokens == 3_600_000
    assert [part.won for part in found.apps] == [None]


def test_price_of_tokens_is_per_million() -> None:
    tally = Tally(input_tokens=2_000_000, output_tokens=500_000)
    assert TokenPrice(0.15, 0.60, 1400).won(tally) == pytest.approx((0.30 + 0.30) * 1400)
