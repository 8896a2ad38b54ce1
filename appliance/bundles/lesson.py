"""The corpus as sheets of tokens: what the trainer reads, one sheet a step."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from appliance.bundles.sheets import Row, Sheet, lay_out
from appliance.core.tuning import Tuning
from appliance.tutor.corpus import Sample, sample

#: Where a wrong-answer row may stop being trained: what follows is the explanation.
_UNEXPLAINED = ',"explanation"'


class Lesson:
    """A sequence of sheets, the same for one seed on every machine; made when asked for.

    Args:
        tuning: seed, rows of a sheet, steps.
        tokenizer: the base's (transformers), with its chat template.
    """

    def __init__(self, tuning: Tuning, tokenizer: Any) -> None:
        self._tuning = tuning
        self._tokenizer = tokenizer

    def __len__(self) -> int:
        """Sheets in all: one a step."""
        return self._tuning.steps

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sheet of one step, as the names and numbers that become tensors."""
        if index >= len(self):
            raise IndexError(index)
        rows = self._tuning.rows
        return self._sheet([self.row(place) for place in range(index * rows, (index + 1) * rows)])

    def row(self, place: int) -> Row:
        """One training sample in tokens."""
        drawn = sample(self._tuning.seed, "train", place)
        # Which rows are cut is drawn apart from the sample, so that the corpus alone says what the sample is.
        cut = Random(f"{self._tuning.seed} {place}").random() >= self._tuning.explained_share  # noqa: S311 - no secret
        return self._row(drawn, cut=cut)

    def heldout(self, language: str) -> Iterator[dict[str, Any]]:
        """Sheets of held-out diagnoses in one language, cut before the explanation."""
        drawn: list[Row] = []
        place = 0
        while len(drawn) < self._tuning.heldout_rows:
            one = sample(self._tuning.seed, "heldout", place)
            if (one.task, one.language) == ("diagnosis", language):
                drawn.append(self._row(one, cut=True))
            place += 1
        for start in range(0, len(drawn), self._tuning.rows):
            yield self._sheet(drawn[start : start + self._tuning.rows])

    def _row(self, drawn: Sample, *, cut: bool) -> Row:
        messages = [{"role": message.role, "content": message.content} for message in drawn.messages]
        prompt = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        answer = drawn.answer
        whole = not cut or _UNEXPLAINED not in answer
        ids = self._tokenizer(answer, add_special_tokens=False)["input_ids"]
        if whole:
            return Row(prompt, [*ids, self._tokenizer.eos_token_id])
        head = self._tokenizer(answer.partition(_UNEXPLAINED)[0], add_special_tokens=False)["input_ids"]
        # The closing quote and the comma are one token of the whole answer: stop where both readings still agree.
        same = next(
            (place for place, (one, other) in enumerate(zip(head, ids, strict=False)) if one != other), len(head)
        )
        return Row(prompt, ids[: same + 1])

    def _sheet(self, rows: list[Row]) -> dict[str, Any]:
        made: Sheet = lay_out(rows, self._tuning.group_rows, self._tokenizer.eos_token_id)
        return {
            "tokens": made.tokens,
            "positions": made.positions,
            "targets": made.targets,
            "prefix": made.prefix,
            "groups": [[group.rows, group.width] for group in made.groups],
        }
