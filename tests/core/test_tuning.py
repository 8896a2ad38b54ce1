import pytest

from appliance.core import tuning
from appliance.errors import RecipeInvalid


def test_profile_overrides_defaults_and_keeps_the_rest():
    read = tuning.parse({"steps": 5, "learning_rate": 1, "four_bit": True})
    assert (read.steps, read.learning_rate, read.four_bit, read.rank) == (5, 1, True, tuning.Tuning().rank)


@pytest.mark.parametrize(
    "table",
    [
        {"epochs": 3},
        {"steps": "5"},
        {"steps": True},
        {"steps": 0},
        {"rank": -1},
        {"compile": 1},
        {"learning_rate": "x"},
    ],
)
def test_profile_with_unknown_name_or_odd_value_is_refused(table):
    with pytest.raises(RecipeInvalid):
        tuning.parse(table)
