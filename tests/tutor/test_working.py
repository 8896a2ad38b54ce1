from decimal import Decimal
from random import Random

import pytest

from appliance.tutor import kinds
from appliance.tutor.integers import Addition, Division, Multiplication, Order, Signed, Subtraction
from appliance.tutor.rationals import DecimalAddition, FractionAddition, FractionDivision, FractionMultiplication
from appliance.tutor.ratios import Equation, Percent, Proportion
from appliance.tutor.working import holds, working


@pytest.mark.parametrize(
    ("problem", "steps"),
    [
        (Addition(47, 36), "7+6=13,4+3+1=8"),
        (Addition(159, 83), "9+3=12,5+8+1=14,1+0+1=2"),
        (Subtraction(238, 63), "8-3=5,13-6=7,1-0=1"),
        (Subtraction(406, 88), "16-8=8,9-8=1,3-0=3"),
        (Multiplication(96, 3), "6×3=18,9×3+1=28"),
        (Division(96, 4), "9÷4=2r1,16÷4=4"),
        (Division(2448, 8), "24÷8=3,4÷8=0r4,48÷8=6"),
        (Order(9, "+", 6, 3, brackets=False), "6×3=18,9+18=27"),
        (Order(10, "-", 5, 3, brackets=True), "10-5=5,5×3=15"),
        (Signed(-4, "-", -8), "-4+8=4"),
        (Signed(-3, "×", -4), "3×4=12"),
        (FractionAddition(3, 10, 5, 6), "9/30+25/30=34/30,34÷2=17,30÷2=15"),
        (FractionMultiplication(1, 2, 3, 5), "1/2×3/5=3/10"),
        (FractionDivision(6, 7, 1, 4), "6/7×4/1=24/7"),
        (DecimalAddition(Decimal("5.9"), Decimal("7.46")), "5.90+7.46,0+6=6,9+4=13,5+7+1=13"),
        (Proportion(3, 9, 6), "6÷3=2,9×2=18"),
        (Proportion(4, 6, 10), "6×10=60,60÷4=15"),
        (Percent(20, 60), "60÷5=12"),
        (Percent(40, 60), "60÷5=12,12×2=24"),
        (Equation(5, "+", 10, 30), "30-10=20,20÷5=4"),
    ],
)
def test_a_working_goes_step_by_step_to_the_answer(problem, steps):
    assert working(problem) == steps
    assert holds(steps)


def test_every_kind_has_a_working_that_holds():
    random = Random(3)
    for kind in kinds.KINDS:
        for difficulty in (1, 2):
            for _ in range(50):
                assert holds(working(kind.draw(random, difficulty)))


@pytest.mark.parametrize(
    "text",
    ["", "7+6=14", "7÷2=3", "7÷2=2r3", "1÷0=1", "3×4+", "because", "1=1=2", "8+7=15,5+9=15", "1+1=2," * 200],
)
def test_a_false_or_unreadable_step_does_not_hold(text):
    assert not holds(text)
