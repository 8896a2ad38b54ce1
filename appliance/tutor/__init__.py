"""The domain, pure: wrong-answer analysis (오답분석) and similar problems (유사문제 생성).

``problems`` (kinds in ``integers``, ``rationals``, ``ratios``) know their exact
answer; ``taxonomy`` (``integer_mistakes``, ``rational_mistakes``,
``ratio_mistakes``) turns a problem into the wrong answer of a named mistake;
``corpus`` makes training and held-out samples of both; ``schemas`` is what an
answer must look like; ``checks`` says whether one is right and why not;
``scores`` counts.

Numbers are ``fractions.Fraction`` throughout: nothing is rounded.
"""
