import json
from types import SimpleNamespace

import pytest

from appliance.bundles import finetune, shared_prefix
from appliance.bundles.sheets import Row, lay_out
from appliance.core.tuning import Tuning
from tests.bundles import shop, tiny_llama

torch = pytest.importorskip("torch")

ROWS = [Row([1, 2, 3, 10], [20, 21]), Row([1, 2, 3, 11, 12], [22]), Row([1, 2, 3, 14], [23, 24, 25])]


@pytest.fixture(scope="module")
def model():
    shared_prefix.register()
    llama = tiny_llama.make(shared_prefix.NAME)
    llama.get_base_model = lambda: llama
    return llama


def sheet(rows, group_rows=2):
    made = lay_out(rows, group_rows, padding=0)
    return {
        "tokens": made.tokens,
        "positions": made.positions,
        "targets": made.targets,
        "prefix": made.prefix,
        "groups": [[group.rows, group.width] for group in made.groups],
    }


def test_loss_is_that_of_transformers_over_the_answers_alone(model):
    plain = tiny_llama.make()
    losses = []
    for row in ROWS:
        tokens = torch.tensor([[*row.prompt, *row.answer]])
        labels = torch.tensor([[-100] * len(row.prompt) + list(row.answer)])
        with torch.no_grad():
            losses += [plain(input_ids=tokens, labels=labels).loss] * len(row.answer)
    with torch.no_grad():
        ours = finetune._loss(model, finetune._tensors(sheet(ROWS)), 0)
    assert float(ours) == pytest.approx(float(sum(losses) / len(losses)), rel=0.02)


def test_sampled_vocabulary_gives_the_same_loss_where_it_holds_every_token(model):
    inputs = finetune._tensors(sheet(ROWS))
    with torch.no_grad():
        whole, sampled = finetune._loss(model, inputs, 0), finetune._loss(model, inputs, 4000)
        few = finetune._loss(model, inputs, 1)
    assert float(sampled) == pytest.approx(float(whole), rel=1e-3)
    assert float(few) < float(whole)


def test_heldout_share_counts_rows_whose_every_token_is_the_likeliest(model):
    plain = tiny_llama.make()

    def greedy(prompt, count):
        tokens = list(prompt)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            for _ in range(count):
                tokens.append(int(plain(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
        return tokens[len(prompt) :]

    right = [Row(row.prompt, greedy(row.prompt, 2)) for row in ROWS]
    wrong = Row(ROWS[0].prompt, [(right[0].answer[0] + 1) % tiny_llama.VOCABULARY, 1])
    lesson = SimpleNamespace(heldout=lambda _language: [sheet(right), sheet([wrong])])
    assert finetune.heldout_right(model, lesson, "ko") == 0.75
    assert model.training


def test_stage_keeps_adapter_and_curve_and_drops_checkpoints(tmp_path):
    def fake(job):
        target = tmp_path / "finetuned.unfinished"
        assert job["target"] == str(target)
        assert job["tuning"]["steps"] == 3
        for folder in ("adapter", "checkpoints"):
            (target / folder).mkdir()
            (target / folder / "file").write_text("x")

    made = shop.make(tmp_path, finetune=fake)
    base = shop.model(tmp_path)
    done = finetune.stage(made, base, Tuning(steps=3))
    assert list(done.receipt.outputs) == ["adapter/file"]
    assert finetune.stage(made, base, Tuning(steps=3)).was_there


def test_adapter_does_not_say_where_its_base_lay(tmp_path):
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"r": 16, "base_model_name_or_path": "/home/somebody/base"}))
    finetune._forget_place(path)
    assert json.loads(path.read_text()) == {"r": 16, "base_model_name_or_path": None}


def test_job_is_read_back_as_the_stage_wrote_it(tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"base": "/b", "target": "/t", "tuning": {"steps": 9}}))
    job = finetune.read_job(path)
    assert (str(job.base), job.tuning.steps) == ("/b", 9)


def test_digest_of_the_corpus_follows_its_seed():
    assert finetune.corpus_digest(1) == finetune.corpus_digest(1) != finetune.corpus_digest(2)
