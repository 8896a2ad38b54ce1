"""The models an app may name: what the engine serves, and aliases of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import EngineUnavailable, ModelNotFound

OWNER = "appliance"
#: No context length or Unix time of an honest engine is this large, and JSON numbers beyond it lose digits.
_ODD = 2**53


@dataclass(frozen=True, slots=True)
class Model:
    """One served model: its name, context length in tokens (0 if unknown), creation as Unix time."""

    name: str
    max_model_len_tokens: int
    created: int


@dataclass(frozen=True)
class Catalogue:
    """The served models, the active one first, and the aliases.

    Args:
        models: what the engine said it serves.
        aliases: alias to model name; an empty name means the active model.
        is_open: the engine answers but lists no models: names pass on as they are.
    """

    models: tuple[Model, ...]
    aliases: Mapping[str, str]
    is_open: bool = False

    @classmethod
    def from_engine(cls, listing: Any, aliases: Mapping[str, str]) -> Catalogue:
        """Read an engine's ``GET /v1/models`` answer (parsed JSON, None if it has none); odd entries are left out."""
        entries = listing.get("data") if isinstance(listing, dict) else None
        models = tuple(
            Model(entry["id"], _count(entry.get("max_model_len")), _count(entry.get("created")))
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict) and isinstance(entry.get("id"), str)
        )
        return cls(models, aliases, is_open=not models)

    def resolve(self, name: str) -> str:
        """The served model that ``name`` means.

        Raises:
            EngineUnavailable: the engine has not said yet what it serves.
            ModelNotFound: neither a served model nor an alias of one.
        """
        if self.is_open:
            return name
        if not self.models:
            raise EngineUnavailable(headers={"retry-after": "2"})
        for model in self.models:
            if model.name == name:
                return name
        if name in self.aliases:
            target = self.aliases[name] or self.models[0].name
            if any(model.name == target for model in self.models):
                return target
        raise ModelNotFound(param="model")

    def cards(self) -> list[dict[str, Any]]:
        """Every name an app may use, as OpenAI model objects; an alias names its model in ``root``."""
        served = [self._card(model, model.name) for model in self.models]
        names = {model.name: model for model in self.models}
        for alias, target in self.aliases.items():
            model = names.get(target) if target else self.models[0] if self.models else None
            if model and alias not in names:
                served.append(self._card(model, alias))
        return served

    @staticmethod
    def _card(model: Model, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": model.created,
            "owned_by": OWNER,
            "root": model.name,
            "max_model_len": model.max_model_len_tokens or None,
        }


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < _ODD else 0
