"""A second opinion on a problem's answer, by SymPy, from the text alone.

It shares no arithmetic and no parsing with the rest of ``tutor``, so that a
slip in a problem's own ``answer`` cannot hide. Only the evaluation needs it:
the box answers its golden questions with exact fractions, and SymPy is
imported when ``solve`` is first called (extra ``evaluate``).
"""

from __future__ import annotations

import re
from fractions import Fraction
from tokenize import TokenError
from typing import Any

from appliance.tutor import notation

# SymPy's parser evaluates Python: nothing but digits, x and arithmetic signs may reach it, and no power.
_SAFE = re.compile(r"[0-9x+\-*/(). =]{1,80}")
_LONG_NUMBER = re.compile(r"\d{9}")
_PERCENT = (re.compile(r"(\d+)% of (\d+)"), re.compile(r"(\d+)의 (\d+)%"))
_RATIO = re.compile(r"(\d+) ?: ?(\d+) ?= ?(\d+) ?: ?x")


def _spelled(expression: str) -> str:
    """The expression in SymPy's own notation."""
    text = notation.plain(expression).strip()
    text = _PERCENT[0].sub(r"(\1)/(100)*(\2)", text)
    text = _PERCENT[1].sub(r"(\2)/(100)*(\1)", text)
    text = _RATIO.sub(r"(\1)*x = (\2)*(\3)", text)
    text = re.sub(r"(\d+)/(\d+)", r"(\1/\2)", text)
    text = re.sub(r"(\d)x", r"\1*x", text)
    return text.replace("×", "*").replace("÷", "/")


def solve(expression: str) -> Fraction | None:
    """The value of an expression, or of x in an equation; None if it has not exactly one.

    Args:
        expression: a problem without instruction, such as ``Problem.canonical``.

    Raises:
        ImportError: SymPy is not installed.
    """
    import sympy
    from sympy.parsing import sympy_parser

    text = _spelled(expression)
    if not _SAFE.fullmatch(text) or "**" in text or "//" in text or _LONG_NUMBER.search(text):
        return None
    x = sympy.Symbol("x")
    rules = (*sympy_parser.standard_transformations, sympy_parser.rationalize)

    def parse(side: str) -> Any:
        return sympy_parser.parse_expr(side, local_dict={"x": x}, transformations=rules)

    try:
        sides = [parse(side) for side in text.split("=")]
    except (TokenError, SyntaxError, TypeError, ValueError, AttributeError, ZeroDivisionError):
        return None
    if len(sides) > 2:
        return None
    roots = sympy.solve(sides[0] - sides[1], x) if len(sides) == 2 else sides
    if len(roots) != 1 or not getattr(roots[0], "is_Rational", False):
        return None
    return Fraction(int(roots[0].p), int(roots[0].q))
