"""The corpus as sheets of tokens: what the trainer reads, one sheet a step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from random import Random
from typing import Any

from appliance.bundles.sheets import Row, Sheet, lay_out
from appliance.core.tuning import Tuning
from appliance.tutor.corpus import Sample, sample

#: Where a wrong-answer row may stop being trained: what follows is the explanation.
_UNEXPLAINED = ',"explanation"'
#: What follows it in a similar problem is its working and its answer.
_INVENTED = '","working"'


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
        # What of a row is trained is drawn apart from the sample, so that the corpus alone says what the sample is.
        chance = Random(f"{self._tuning.seed} {place}").random()  # noqa: S311 - no secret
        if drawn.task == "similar":
            return self._row(drawn, cut=False, given=chance >= self._tuning.invented_share)
        return self._row(drawn, cut=chance >= self._tuning.explained_share, given=False)

    def heldout(self, language: str) -> Iterator[dict[str, Any]]:
        """Sheets of held-out diagnoses in one language, cut before the explanation."""
        drawn: list[Row] = []
        place = 0
        while len(drawn) < self._tuning.heldout_rows:
            one = sample(self._tuning.seed, "heldout", place)
            if (one.task, one.language) == ("diagnosis", language):
                drawn.append(self._row(one, cut=True, given=False))
            place += 1
        for start in range(0, len(drawn), self._tuning.rows):
            yield self._sheet(drawn[start : start + self._tuning.rows])

    def _row(self, drawn: Sample, *, cut: bool, given: bool) -> Row:
        """A sample in tokens.

        Args:
            drawn: the sample.
            cut: stop before the explanation.
            given: train the answer of an invented problem alone.
        """
        messages = [{"role": message.role, "content": message.content} for message in drawn.messages]
        prompt = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        ids = self._ids(drawn.answer)
        if cut:
            # The mark itself is trained as far as both readings agree: that the key ends is part of the key.
            return Row(prompt, ids[: self._agreed(drawn.answer, ids, _UNEXPLAINED) + 1])
        return Row(
            prompt,
            [*ids, self._tokenizer.eos_token_id],
            given=self._agreed(drawn.answer, ids, _INVENTED) if given else 0,
        )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _agreed(self, answer: str, ids: list[int], mark: str) -> int:
        """How many tokens of the answer stand before ``mark``; characters around it may be one token."""
        head = self._ids(answer.partition(mark)[0])
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(head, ids, strict=False)))

    def _sheet(self, rows: list[Row]) -> dict[str, Any]:
        made: Sheet = lay_out(rows, self._tuning.group_rows, self._tokenizer.eos_token_id)
        return {
            "tokens": made.tokens,
            "positions": made.positions,
            "targets": made.targets,
            "prefix": made.prefix,
            "groups": [[group.rows, group.width] for group in made.groups],
        }
