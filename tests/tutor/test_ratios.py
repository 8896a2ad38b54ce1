from appliance.tutor.ratios import Equation, Percent, Proportion


def test_proportions_percentages_and_equations_are_solved():
    assert Proportion(2, 3, 8).answer == 12
    assert Percent(20, 80).answer == 16
    assert Equation(3, "+", 5, 20).answer == 5
    assert Equation(3, "-", 5, 10).answer == 5


def test_a_percentage_is_put_in_the_pupils_language():
    assert Percent(20, 80).expression("ko") == "80의 20%"
    assert Percent(20, 80).expression("en") == "20% of 80"


def test_what_has_no_whole_answer_is_no_problem_of_the_kind():
    assert Proportion.match("2:3=7:x") is None
    assert Percent.match("15%of7") is None
    assert Equation.match("3x+5=21") is None
    assert Equation.match("3x+50=20") is None
