"""An examination as one HTML file: tables, bars and the confusion matrix, Korean beside English.

Everything is in the file: no script, no font, no address. Plots are SVG.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from appliance.bundles.exam import Marked, Result, view
from appliance.tutor.scores import NO_DIAGNOSIS, Group, Share
from appliance.tutor.taxonomy import BY_KEY

PAGE_NAME, SCORES_NAME = "evaluation.html", "scores.json"
_SCORES = {
    "diagnosis": "오답 원인 진단 · right diagnosis",
    "correct_answer": "정답 제시 · corrected answer right",
    "diagnosis_json": "진단 JSON 형식 · valid JSON, diagnosis",
    "similar": "유사문제 완전 정답 · similar problem fully right",
    "similar_json": "유사문제 JSON 형식 · valid JSON, similar problem",
    "working": "풀이 과정 · every step of the working true",
}
_LANGUAGES = {"ko": "한국어 · Korean", "en": "영어 · English"}
_FAULTS = {
    "json_valid": "JSON이 아님 · not the JSON that was asked for",
    "well_formed": "문제를 읽을 수 없음 · no readable problem",
    "same_kind": "다른 유형 · another kind of problem",
    "same_difficulty": "난이도 다름 · another difficulty",
    "new": "같은 문제 · not a new problem",
    "fits_mistake": "실수를 연습할 수 없음 · no place for the mistake",
    "answer_right": "제시한 답이 틀림 · its stated answer is wrong",
}
_COLOURS = ("#9aa5b1", "#2f6db5", "#1d9a6c", "#b5652f")
_SHOWN_ITEMS = 60
_BAR_WIDTH, _BAR_HEIGHT, _LABEL_WIDTH = 420, 14, 330
_CELL = 22
_STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans KR","Malgun Gothic",sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#1d2733}
table{border-collapse:collapse;margin:.6rem 0 1.4rem}th,td{border:1px solid #cfd6dd;padding:.25rem .6rem;text-align:right}
th:first-child,td:first-child{text-align:left}th{background:#f2f5f8}td.text{text-align:left;font-size:13px;white-space:pre-wrap}
h2{margin-top:2.2rem}small{color:#5b6875}svg text{font:12px system-ui,"Noto Sans KR",sans-serif;fill:#1d2733}
"""


def render(results: Sequence[Result], what: str) -> str:
    """The page.

    Args:
        results: one a model, the one that matters most last.
        what: what was asked, one sentence.
    """
    last = results[-1]
    parts = [
        "<!doctype html><html lang=ko><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        f"<title>평가 · Evaluation: {escape(last.title)}</title><style>{_STYLE}</style>",
        f"<h1>평가 · Evaluation: {escape(last.title)}</h1><p>{escape(what)}</p>",
        "<h2>전체 점수 · Scores</h2>",
        _bars(results),
        _overall(results),
        "<h2>언어별 · Korean and English</h2>",
        *(_by_language(result) for result in results),
        f"<h2>실수별 진단 · Diagnosis by mistake</h2><p><small>{escape(last.title)}</small></p>",
        _by_mistake(last),
        "<h2>혼동 행렬 · Confusion matrix</h2>",
        "<p>행: 실제 실수, 열: 모델의 답. · Rows: the planted mistake; columns: what the model named.</p>",
        _confusion(last),
        "<h2>유형별 · By kind of problem</h2>",
        _groups_table(last.scores.by_kind.items(), "유형 · kind"),
        "<h2>유사문제의 결함 · What was wrong with similar problems</h2>",
        _faults(last),
        "<h2>틀린 답 · Items that went wrong</h2>",
        _items(last.marked),
        "</html>\n",
    ]
    return "\n".join(parts)


def write(results: Sequence[Result], out: Path, what: str) -> None:
    """Write scores and page of one or more models into a directory."""
    out.mkdir(parents=True, exist_ok=True)
    stated = {"what": what, "models": [view(result) for result in results]}
    (out / SCORES_NAME).write_text(json.dumps(stated, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (out / PAGE_NAME).write_text(render(results, what), encoding="utf-8")


def _shares(group: Group) -> list[tuple[str, Share]]:
    return [(name, getattr(group, name)) for name in _SCORES]


def _figure(share: Share) -> str:
    if not share.total:
        return "–"
    return f"{share.ratio:.1%} <small>{share.right}/{share.total}</small>"


def _bars(results: Sequence[Result]) -> str:
    lane = _BAR_HEIGHT * len(results) + 12
    height = lane * len(_SCORES) + 30
    drawn = []
    for row, (name, title) in enumerate(_SCORES.items()):
        top = row * lane
        drawn.append(f'<text x="0" y="{top + lane / 2}">{escape(title)}</text>')
        for place, result in enumerate(results):
            share: Share = getattr(result.scores.overall, name)
            y = top + place * _BAR_HEIGHT
            colour = _COLOURS[place % len(_COLOURS)]
            width = max(1.0, share.ratio * _BAR_WIDTH)
            drawn.append(
                f'<rect x="{_LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{_BAR_HEIGHT - 2}" fill="{colour}"/>'
                f'<text x="{_LABEL_WIDTH + width + 6:.1f}" y="{y + 11}">{share.ratio:.1%}</text>'
            )
    for place, result in enumerate(results):
        x = _LABEL_WIDTH + place * 200
        colour = _COLOURS[place % len(_COLOURS)]
        drawn.append(
            f'<rect x="{x}" y="{height - 20}" width="12" height="12" fill="{colour}"/>'
            f'<text x="{x + 17}" y="{height - 9}">{escape(result.title)}</text>'
        )
    return _svg(_LABEL_WIDTH + max(_BAR_WIDTH + 70, 200 * len(results)), height, drawn)


def _overall(results: Sequence[Result]) -> str:
    head = "".join(f"<th>{escape(result.title)}</th>" for result in results)
    rows = "".join(
        f"<tr><td>{escape(title)}</td>"
        + "".join(f"<td>{_figure(getattr(result.scores.overall, name))}</td>" for result in results)
        + "</tr>"
        for name, title in _SCORES.items()
    )
    return f"<table><tr><th>점수 · score</th>{head}</tr>{rows}</table>"


def _by_language(result: Result) -> str:
    named = ((_LANGUAGES.get(name, name), group) for name, group in result.scores.by_language.items())
    return f"<p><b>{escape(result.title)}</b></p>{_groups_table(named, '언어 · language')}"


def _groups_table(groups: Iterable[tuple[str, Group]], title: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in _SCORES.values())
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{_figure(share)}</td>' for _, share in _shares(group))}</tr>"
        for name, group in groups
    )
    return f"<table><tr><th>{escape(title)}</th>{head}</tr>{rows}</table>"


def _mistake(key: str) -> str:
    if key not in BY_KEY:
        return key
    name = BY_KEY[key].name
    return f"{name.ko} · {name.en}"


def _by_mistake(result: Result) -> str:
    rows = "".join(
        f"<tr><td>{escape(_mistake(key))}<br><small>{escape(key)}</small></td><td>{_figure(share)}</td></tr>"
        for key, share in result.scores.diagnosis_by_mistake.items()
    )
    return f"<table><tr><th>실수 · mistake</th><th>진단 · right</th></tr>{rows}</table>"


def _confusion(result: Result) -> str:
    planted = list(result.scores.confusion)
    answered = [*planted, *sorted({key for row in result.scores.confusion.values() for key in row} - set(planted))]
    if NO_DIAGNOSIS in answered:
        answered.remove(NO_DIAGNOSIS)
        answered.append(NO_DIAGNOSIS)
    left, top = 250, 210
    drawn = []
    for column, key in enumerate(answered):
        x = left + column * _CELL + 15
        drawn.append(f'<text x="{x}" y="{top - 6}" transform="rotate(-60 {x} {top - 6})">{escape(key)}</text>')
    for row, key in enumerate(planted):
        y = top + row * _CELL
        named = result.scores.confusion[key]
        total = sum(named.values())
        drawn.append(f'<text x="{left - 6}" y="{y + 15}" text-anchor="end">{escape(key)}</text>')
        for column, other in enumerate(answered):
            count = named.get(other, 0)
            colour = f"rgb({_shade(count / total, right=key == other)})"
            x = left + column * _CELL
            drawn.append(f'<rect x="{x}" y="{y}" width="{_CELL - 1}" height="{_CELL - 1}" fill="{colour}"/>')
            if count:
                drawn.append(f'<text x="{x + 10}" y="{y + 15}" text-anchor="middle">{count}</text>')
    return _svg(left + len(answered) * _CELL + 140, top + len(planted) * _CELL + 10, drawn)


def _shade(share: float, *, right: bool) -> str:
    """White at 0; green on the diagonal, red beside it."""
    full = (110, 200, 140) if right else (235, 130, 110)
    return ",".join(str(round(245 - (245 - colour) * min(1.0, share))) for colour in full)


def _faults(result: Result) -> str:
    rows = "".join(
        f"<tr><td>{escape(_FAULTS.get(name, name))}</td><td>{count}</td></tr>"
        for name, count in sorted(result.scores.similar_faults.items(), key=lambda pair: -pair[1])
    )
    return f"<table><tr><th>결함 · fault</th><th>수 · count</th></tr>{rows}</table>"


def _items(marked: Sequence[Marked]) -> str:
    wrong = [one for one in marked if one.faults]
    rows = "".join(
        f'<tr><td class="text">{escape(one.sample.messages[-1].content)}</td>'
        f'<td class="text">{escape(one.sample.answer)}</td><td class="text">{escape(one.reply)}</td>'
        f'<td class="text">{escape("; ".join(one.faults))}</td></tr>'
        for one in wrong[:_SHOWN_ITEMS]
    )
    head = "<tr><th>질문 · question</th><th>기대 · wanted</th><th>답 · reply</th><th>결함 · fault</th></tr>"
    return f"<p>{len(wrong)} / {len(marked)}; {min(len(wrong), _SHOWN_ITEMS)} ↓</p><table>{head}{rows}</table>"


def _svg(width: float, height: float, drawn: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">{"".join(drawn)}</svg>'
    )
