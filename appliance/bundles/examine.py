"""A program: lets a model answer questions by greedy decoding, in the build environment.

python -m appliance.bundles.examine JOB.json

{"model": directory, "questions": [[{"role", "content"}, …], …], "replies": file, "batch", "max_tokens"}

Questions of like length go together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def examine(job: dict[str, Any]) -> list[str]:
    """The replies, in the order of the questions."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    on_gpu = torch.cuda.is_available()
    tokenizer = AutoTokenizer.from_pretrained(job["model"], local_files_only=True, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(
        job["model"], dtype=torch.bfloat16, local_files_only=True, device_map="auto" if on_gpu else None
    )
    model.eval()
    replies: dict[int, str] = {}
    total = len(job["questions"])
    for batch in _batches(job["questions"], job["batch"]):
        texts = [
            tokenizer.apply_chat_template(job["questions"][place], add_generation_prompt=True, tokenize=False)
            for place in batch
        ]
        read = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
        with torch.inference_mode():
            written = model.generate(
                **read,
                max_new_tokens=job["max_tokens"],
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=tokenizer.pad_token_id,
            )
        answers = tokenizer.batch_decode(written[:, read["input_ids"].shape[1] :], skip_special_tokens=True)
        replies.update(zip(batch, answers, strict=True))
        sys.stdout.write(f"{len(replies)} of {total} questions\n")
        sys.stdout.flush()
    return [replies[place] for place in range(total)]


def _batches(questions: list[Any], size: int) -> Iterator[list[int]]:
    """Places of the questions, those of like length together: less padding, and an early end."""
    order = sorted(range(len(questions)), key=lambda place: sum(len(one["content"]) for one in questions[place]))
    for start in range(0, len(order), size):
        yield order[start : start + size]


if __name__ == "__main__":
    stated = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(stated["replies"]).write_text(json.dumps(examine(stated), ensure_ascii=False), encoding="utf-8")
