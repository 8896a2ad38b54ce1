r"""How numbers and signs are written: many spellings in, one spelling out.

Pupils, apps and models write ``−3``, ``½``, ``1 1/2``, ``\frac{1}{2}``,
``x = 5`` or ``12개``; everything behind this module sees plain ASCII digits,
``-``, ``/``, ``×`` and ``÷``.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

_SIGNS = str.maketrans({"−": "-", "–": "-", "⁄": "/", "∕": "/", "∶": ":", "·": "×", "∙": "×", "⋅": "×", "∗": "*"})
_LATEX = (
    (re.compile(r"\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}"), r"\1/\2"),
    (re.compile(r"\\(?:times|cdot)\b\s*"), "×"),
    (re.compile(r"\\div\b\s*"), "÷"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\[()\[\]]|\\(?:left|right)\b|\$|^\s*\*\*|\*\*\s*$"), ""),
)
_VULGAR = re.compile(r"[¼-¾⅐-⅞]")
_TIMES = re.compile(r"(?<=[\d)])\s*[xX*]\s*(?=[\d(])")

# Twelve digits are far beyond any exercise here, and keep int() away from its limit on long strings.
_VALUE = re.compile(
    r"(?:[a-z]\s*=\s*)?(?P<sign>[-+]?)\s*"
    r"(?:(?:(?P<whole>\d{1,12})(?:\s+|\s*과\s*|\s*와\s*))?(?P<top>\d{1,12})\s*/\s*(?P<bottom>\d{1,12})"
    r"|(?P<plain>\d{1,12}(?:,\d{3})*(?:\.\d{1,12})?))"
    r"\s*(?:[a-zA-Z가-힣]{1,6}[.²³]?)?\s*\.?"
)


def plain(text: str) -> str:
    """The same text with signs, fractions and LaTeX in plain notation; ``27 x 3`` becomes ``27×3``."""
    text = _VULGAR.sub(lambda match: f" {match.group()}", text)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return _TIMES.sub("×", text)


def read(text: str) -> Fraction | None:
    """The value of an answer as somebody wrote it, exactly; None if it is not one number.

    Accepts whole numbers, decimals, fractions in any terms, mixed numbers, thousands
    separators, ``x = 5`` and a unit of up to six letters after the number.
    """
    match = _VALUE.fullmatch(plain(text).strip())
    if match is None:
        return None
    if match["plain"] is not None:
        value = Fraction(match["plain"].replace(",", ""))
    else:
        bottom = int(match["bottom"])
        if bottom == 0:
            return None
        value = int(match["whole"] or 0) + Fraction(int(match["top"]), bottom)
    return -value if match["sign"] == "-" else value


def written(value: Fraction) -> str:
    """A value as a fraction in lowest terms, or a whole number: ``5/6``, ``-3``."""
    return str(value)


def written_decimal(value: Fraction) -> str:
    """A value as a decimal of at most four places without trailing zeros: ``3.84``, ``4``."""
    scaled = value * 10_000
    digits = f"{abs(int(scaled)):05d}"
    text = f"{digits[:-4]}.{digits[-4:]}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text
