import pytest

from appliance.tutor.integers import Addition, Division, Multiplication, Order, Signed, Subtraction
from appliance.tutor.taxonomy import BY_KEY


@pytest.mark.parametrize(
    ("key", "problem", "wrong"),
    [
        ("addition_carry_dropped", Addition(27, 35), "52"),
        ("addition_carry_dropped", Addition(167, 85), "142"),
        ("addition_columns_joined", Addition(27, 35), "512"),
        ("subtraction_smaller_from_larger", Subtraction(53, 27), "34"),
        ("subtraction_borrow_unpaid", Subtraction(53, 27), "36"),
        ("multiplication_carry_dropped", Multiplication(27, 3), "61"),
        ("multiplication_carry_first", Multiplication(27, 3), "121"),
        ("division_remainder_dropped", Division(96, 4), "21"),
        ("division_zero_dropped", Division(412, 4), "13"),
        ("order_left_to_right", Order(2, "+", 3, 4, brackets=False), "20"),
        ("order_brackets_ignored", Order(2, "+", 3, 4, brackets=True), "14"),
        ("sign_double_negative", Signed(3, "-", -8), "-5"),
        ("sign_rule_misused", Signed(-3, "×", -8), "-24"),
        ("sign_rule_misused", Signed(-3, "-", -8), "11"),
    ],
)
def test_the_bug_gives_the_answer_the_literature_gives(key, problem, wrong):
    given = BY_KEY[key].wrong(problem)
    assert given is not None
    assert given.text == wrong


def test_no_borrow_leaves_nothing_to_get_wrong():
    assert BY_KEY["subtraction_smaller_from_larger"].wrong(Subtraction(57, 23)) is None
    assert BY_KEY["subtraction_borrow_unpaid"].wrong(Subtraction(57, 23)) is None
    assert BY_KEY["division_zero_dropped"].wrong(Division(96, 4)) is None
    assert BY_KEY["order_left_to_right"].wrong(Order(2, "+", 3, 4, brackets=True)) is None
