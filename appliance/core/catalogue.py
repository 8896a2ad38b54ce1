"""The models an app may name: what the engine serves, and aliases of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from appliance.errors import EngineUnavailable, ModelNotFound, PermissionDenied

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
        allowed: names that may be asked for, models or aliases; None for all.
    """

    models: tuple[Model, ...]
    aliases: Mapping[str, str]
    is_open: bool = False
    allowed: frozenset[str] | None = None

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

    def narrowed(self, allowed: frozenset[str] | None, aliases: Mapping[str, str]) -> Catalogue:
        """The catalogue as one key sees it.

        Args:
            allowed: names it may ask for; an allowed model may be asked for by any of its aliases.
            aliases: names of its own, before those of all.
        """
        if allowed is None and not aliases:
            return self
        return replace(self, aliases={**self.aliases, **aliases}, allowed=allowed)

    def context_tokens(self, model: str) -> int:
        """Context length of a served model, 0 if unknown."""
        return next((served.max_model_len_tokens for served in self.models if served.name == model), 0)

    def resolve(self, name: str) -> str:
        """The served model that ``name`` means.

        Raises:
            EngineUnavailable: the engine has not said yet what it serves.
            ModelNotFound: neither a served model nor an alias of one.
            PermissionDenied: it is one, but not for this key.
        """
        model = self._find(name)
        if not self._allows(name, model):
            raise PermissionDenied(
                "This API key may not use that model.",
                remedy="GET /v1/models lists those it may use; the appliance's operator can allow more.",
                param="model",
            )
        return model

    def _allows(self, name: str, model: str) -> bool:
        return self.allowed is None or name in self.allowed or model in self.allowed

    def _find(self, name: str) -> str:
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
        return [card for card in served if self._allows(card["id"], card["root"])]

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
