"""The checks that a bundle's golden questions may ask for."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.core import golden
from appliance.core.golden import Checker

CHECKERS: Mapping[str, Checker] = golden.CHECKERS
