"""How people put a problem and ask about it, in Korean and English.

Phrasings are short on purpose: the embedded model's tokenizer spends about
two and a half tokens on a Korean syllable.
"""

from __future__ import annotations

from random import Random

from appliance.tutor.problems import Language, Problem

_CALCULATE: dict[Language, tuple[str, ...]] = {
    "ko": ("{e}", "{e}", "{e} = ?", "계산: {e}", "다음을 계산하세요: {e}"),
    "en": ("{e}", "{e}", "{e} = ?", "Calculate {e}.", "What is {e}?"),
}
_PERCENT: dict[Language, tuple[str, ...]] = {
    "ko": ("{e}", "{e}는?", "{e}는 얼마인가요?"),
    "en": ("{e}", "{e} = ?", "What is {e}?", "Find {e}."),
}
_UNKNOWN: dict[Language, tuple[str, ...]] = {
    "ko": ("{e}", "{e}", "{e}에서 x는?", "x를 구하세요: {e}"),
    "en": ("{e}", "{e}", "Solve {e}.", "Find x: {e}"),
}
_BY_KIND = {"percent": _PERCENT, "proportion": _UNKNOWN, "linear_equation": _UNKNOWN}

_WRONG: dict[Language, tuple[str, ...]] = {
    "ko": ("{q}\n오답: {w}", "{q}\n오답: {w}", "문제: {q}\n학생 답: {w}", "{q}\n학생 답은 {w}, 왜 틀렸나요?"),
    "en": ("{q}\nWrong answer: {w}", "Problem: {q}\nStudent: {w}", "{q}\nA student answered {w}. Why is it wrong?"),
}
_SIMILAR: dict[Language, tuple[str, ...]] = {
    "ko": ("유사문제: {q}", "유사문제: {q}", "{q}\n유사문제를 만들어 주세요."),
    "en": ("Similar problem: {q}", "Similar problem: {q}", "{q}\nMake a similar problem."),
}
_FOR: dict[Language, str] = {"ko": "{ask}\n실수: {key}", "en": "{ask}\nMistake: {key}"}


def questions(problem: Problem, language: Language) -> tuple[str, ...]:
    """Every phrasing of a problem in one language."""
    templates = _BY_KIND.get(problem.kind, _CALCULATE)[language]
    return tuple(dict.fromkeys(template.format(e=problem.expression(language)) for template in templates))


def question(problem: Problem, language: Language, random: Random) -> str:
    """One phrasing, the plainest the likeliest."""
    templates = _BY_KIND.get(problem.kind, _CALCULATE)[language]
    return random.choice(templates).format(e=problem.expression(language))


def ask_diagnosis(problem: Problem, wrong: str, language: Language, random: Random) -> str:
    """Ask what went wrong in an answer."""
    return random.choice(_WRONG[language]).format(q=question(problem, language, random), w=wrong)


def ask_similar(problem: Problem, mistake: str | None, language: Language, random: Random) -> str:
    """Ask for a similar problem, if given a key one in which that mistake can happen."""
    ask = random.choice(_SIMILAR[language]).format(q=question(problem, language, random))
    return ask if mistake is None else _FOR[language].format(ask=ask, key=mistake)
