import re
from decimal import Decimal

from hypothesis import given

from appliance.tutor.kinds import KINDS
from appliance.tutor.rationals import DecimalAddition, FractionMultiplication
from appliance.tutor.taxonomy import BY_KEY, MISTAKES, sole_explanation
from tests.tutor.strategies import problems


def test_there_are_at_least_twenty_mistakes_with_stable_names_in_both_languages():
    assert len(BY_KEY) == len(MISTAKES) >= 20
    for mistake in MISTAKES:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", mistake.key)
        assert re.search(r"[가-힣]", mistake.name.ko + mistake.summary.ko)
        assert mistake.name.en.isascii()
        assert mistake.summary.en.endswith(".")


def test_every_kind_has_two_mistakes_so_that_the_kind_alone_is_no_diagnosis():
    for kind in KINDS:
        assert sum(kind in mistake.kinds for mistake in MISTAKES) >= 2, kind.kind


def test_every_rule_names_its_source():
    for mistake in MISTAKES:
        doc = mistake.give.__doc__ or ""
        assert re.search(r"Ashlock|Brown|VanLehn|Hart|Resnick|Siegler|Parker|Booth|Sleeman", doc), mistake.key


@given(problems())
def test_a_mistake_never_gives_the_right_answer(problem):
    for mistake in MISTAKES:
        wrong = mistake.wrong(problem)
        assert wrong is None or wrong.value != problem.answer


@given(problems())
def test_the_worked_step_in_an_advice_is_true(problem):
    for mistake in MISTAKES:
        if mistake.wrong(problem) is None:
            continue
        for language in ("ko", "en"):
            text = mistake.advice(problem, language)
            for left, right in re.findall(r"([\d.+\-×÷/]+)=(-?[\d.]+)", text):
                python = re.sub(r"(?<![\d.])0+(?=\d)", "", left).replace("×", "*").replace("÷", "/")
                exact = re.sub(r"[\d.]+", lambda found: f"Decimal('{found[0]}')", python)
                value = eval(exact, {"Decimal": Decimal})  # noqa: S307
                stated = Decimal(right.rstrip("."))
                assert value == stated, text


def test_a_wrong_answer_that_two_mistakes_give_has_no_sole_explanation():
    both = DecimalAddition(Decimal("0.5"), Decimal("0.12"))
    assert BY_KEY["decimal_right_aligned"].wrong(both).value == BY_KEY["decimal_parts_separate"].wrong(both).value
    assert not sole_explanation(both, BY_KEY["decimal_right_aligned"])
    assert sole_explanation(FractionMultiplication(2, 5, 3, 5), BY_KEY["fraction_denominator_kept"])
