import json

import pytest
from typer.testing import CliRunner

from appliance.bundles import exam
from appliance.bundles.endpoint import Endpoint
from appliance.cli.main import app
from appliance.errors import EvaluationFailed


@pytest.fixture
def asked(monkeypatch):
    """An endpoint that answers every held-out question of seed 7 right."""
    seen = []
    right = {sample.messages[-1].content: sample.answer for sample in exam.heldout(7, 40)}

    def answers(_endpoint, requests, _concurrency, report):
        seen.extend(requests)
        report(len(requests), len(requests))
        return [right.get(request["messages"][-1]["content"], "") for request in requests]

    monkeypatch.setattr(Endpoint, "answers", answers)
    monkeypatch.setattr(Endpoint, "model", lambda _endpoint: "tutor")
    return seen


def run(*words):
    return CliRunner().invoke(app, ["evaluate", "--base-url", "http://box/v1", *map(str, words)])


def test_page_and_scores_are_written_and_the_shares_shown(asked, tmp_path):
    done = run("--out", tmp_path, "--count", "40", "--key", "sk")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "evaluation.html").is_file()
    assert json.loads((tmp_path / "scores.json").read_text())["models"][0]["title"] == "tutor"
    assert "diagnosis" in done.output
    assert "100.0%" in done.output
    assert "response_format" not in asked[0]


def test_json_has_the_shares_of_both_languages(asked, tmp_path):
    done = run("--out", tmp_path, "--count", "40", "--json", "--schema")
    shown = json.loads(done.stdout)
    assert shown["overall"]["diagnosis"]["ratio"] == 1.0
    assert set(shown["by_language"]) == {"ko", "en"}
    assert asked[0]["response_format"]["type"] == "json_schema"


def test_academys_items_are_asked_instead(asked, tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text('{"task": "similar", "language": "ko", "question": "3/4 + 1/2"}\n')
    assert run("--out", tmp_path, "--items", items, "--model", "gpt-4o").exit_code == 0
    assert [request["model"] for request in asked] == ["gpt-4o"]


def test_endpoint_that_cannot_be_asked_fails_with_its_reason(tmp_path):
    done = CliRunner().invoke(app, ["evaluate", "--base-url", "http://127.0.0.1:1/v1", "--out", str(tmp_path)])
    assert isinstance(done.exception, EvaluationFailed)
