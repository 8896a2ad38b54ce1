import pytest

from appliance.tutor.integers import Addition, Division, Multiplication, Order, Signed, Subtraction


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        (Addition(27, 35), 62),
        (Subtraction(53, 27), 26),
        (Multiplication(27, 3), 81),
        (Division(412, 4), 103),
        (Order(2, "+", 3, 4, brackets=False), 14),
        (Order(2, "+", 3, 4, brackets=True), 20),
        (Order(20, "-", 3, 4, brackets=False), 8),
        (Signed(3, "-", -8), 11),
        (Signed(-3, "-", -8), 5),
        (Signed(-3, "×", -8), 24),
    ],
)
def test_the_answer_is_right(problem, answer):
    assert problem.answer == answer


def test_the_same_sum_in_either_order_is_one_family():
    assert Addition(27, 35).family == Addition(35, 27).family
    assert Subtraction(53, 27).family != Subtraction(54, 27).family


@pytest.mark.parametrize("text", ["27-53", "27-27"])
def test_a_difference_below_one_is_no_problem_of_the_kind(text):
    assert Subtraction.match(text) is None


def test_a_division_with_remainder_or_by_zero_is_no_problem_of_the_kind():
    assert Division.match("13÷4") is None
    assert Division.match("13÷0") is None


@pytest.mark.parametrize("text", ["(2+3×4", "2+3)×4", "(5-9)×2", "(-3-(-8)", "-3)-(-8)"])
def test_odd_brackets_and_negative_results_are_refused(text):
    assert Order.match(text) is None
    assert Signed.match(text) is None
