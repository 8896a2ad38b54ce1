"""Problems for property tests: drawn as the corpus draws them."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from appliance.tutor.kinds import KINDS
from appliance.tutor.problems import Problem


def problems(*kinds: type[Problem]) -> st.SearchStrategy[Problem]:
    """Any problem of these kinds (of all, if none is named) and of either difficulty."""
    return st.builds(
        lambda kind, difficulty, seed: kind.draw(Random(seed), difficulty),
        st.sampled_from(kinds or KINDS),
        st.sampled_from((1, 2)),
        st.integers(0, 2**32),
    )
