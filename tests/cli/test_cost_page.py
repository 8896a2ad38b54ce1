"""What a person reads of ``appliance cost``."""

from __future__ import annotations

from appliance.cli import cost_page
from appliance.cli.cost_page import Period
from appliance.core import energy
from appliance.core.energy import Cost, Measured, TokenPrice
from appliance.core.usage import Place, Tally

NOON = 1_767_268_800  # 2026-01-01T12:00Z
HOUR = 3600
PERIOD = Period("today", NOON, NOON + 10 * HOUR)
BOOKED = {
    Place(NOON, "homework", "llama"): Tally(requests=3, input_tokens=5000, output_tokens=2000),
    Place(NOON + 9 * HOUR, "quiz", "llama"): Tally(requests=1, input_tokens=1, output_tokens=500),
}


def found(measured: Measured | None, won_per_kwh: float = 141) -> Cost:
    return energy.cost(BOOKED, measured, won_per_kwh)


def lines(what: Cost, price: TokenPrice | None = None) -> str:
    return "\n".join(cost_page._lines(PERIOD, what, price))


def test_figures_have_their_units() -> None:
    text = lines(found(Measured(9_000_000, NOON, NOON + 10 * HOUR)), TokenPrice(0.15, 0.6, 1400))
    assert text.splitlines() == [
        "  tokens        5,001 in, 2,500 out, 4 requests",
        "  GPU energy    2.500 kWh = 352.50 won at 141 won/kWh, idle time included",
        "  1,000 out     3,600.0 kJ, 141.00 won",
        "  compared      3.15 won for the same tokens at 0.15 and 0.6 USD a million and 1400 won a USD",
    ]


def test_energy_of_a_part_of_the_period_is_said_to_be_that() -> None:
    text = lines(found(Measured(9_000_000, NOON, NOON + 8 * HOUR)))
    assert "note          energy is known from" in text
    assert "only; the figures are of that time, and 500 more output tokens are not in them" in text
    assert "2,000 out" in text


def test_a_whole_period_one_card_counter_and_one_exporter_need_no_note() -> None:
    assert "note" not in lines(found(Measured(1, NOON + 600, NOON + 10 * HOUR - 600, exporters=("a",))))


def test_estimated_energy_and_several_exporters_are_told_of() -> None:
    text = lines(found(Measured(1, NOON, NOON + 10 * HOUR, "power", ("a:1", "b:2"))))
    assert "a card counts no energy: its mean power was taken" in text
    assert "the cards of a:1, b:2 together; --exporter chooses one" in text


def test_large_sums_have_no_decimals_and_small_ones_two() -> None:
    assert [cost_page._won(amount) for amount in (0.004, 12.345, 1234.5)] == ["0.00 won", "12.35 won", "1,234 won"]


def test_times_of_the_document_are_utc_and_it_names_every_figure() -> None:
    document = cost_page.document([(PERIOD, found(Measured(9_000_000, NOON, NOON + 8 * HOUR)))], None, None)
    (period,) = document["periods"]
    assert (period["since"], period["energy"]["measured_until"]) == ("2026-01-01T12:00:00Z", "2026-01-01T20:00:00Z")
    assert period["not_measured"] == {"requests": 1, "input_tokens": 1, "output_tokens": 500}
    assert (document["won_per_kwh"], document["problem"], period["compared_won"]) == (141, None, None)
