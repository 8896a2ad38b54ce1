"""The report of the controls as one HTML page, Korean and English side by side: nothing is loaded, and it prints."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from appliance.core import controls, evidence
from appliance.core.controls import CONTROLS, GROUPS, Control
from appliance.core.evidence import Evidence, Outcome, Requirement, Result
from appliance.core.standards import STANDARDS
from appliance.core.upkeep import Text

_NAMES = {
    Outcome.PASS: Text("PASS", "적합"),
    Outcome.FAIL: Text("FAIL", "부적합"),
    Outcome.UNKNOWN: Text("UNKNOWN", "확인 불가"),
    Outcome.NOT_APPLICABLE: Text("NOT APPLICABLE", "해당 없음"),
}
_STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{font:13px/1.45 "Noto Sans KR","Malgun Gothic","Apple SD Gothic Neo",system-ui,sans-serif;color:#111;margin:2rem auto;
max-width:72rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:1.8rem 0 .5rem;break-after:avoid}
.en{color:#444;display:block}.note{border-left:4px solid #888;padding:.3rem .8rem;margin:1rem 0}
table{border-collapse:collapse;width:100%}th,td{border:1px solid #bbb;padding:.35rem .5rem;text-align:left;vertical-align:top}
th{background:#eee}thead{display:table-header-group}tr{break-inside:avoid}
code{font:11px/1.4 "D2Coding",ui-monospace,monospace;overflow-wrap:anywhere}
td.reason{overflow-wrap:anywhere}
.r{white-space:nowrap;font-weight:700}.PASS{color:#0a6b2b}.FAIL{color:#fff;background:#b00020}.UNKNOWN{background:#ffe9a8}
.NA{color:#666}ul.sum{display:flex;gap:1.5rem;list-style:none;padding:0;flex-wrap:wrap}ul.sum b{font-size:1.4rem;display:block}
@page{size:A4 landscape;margin:12mm}
@media print{body{margin:0;max-width:none;padding:0;font-size:10px}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


def render(report: Evidence) -> str:
    """The whole page."""
    parts = [
        '<!doctype html>\n<html lang="ko">\n<head>\n<meta charset="utf-8">',
        f"<title>{escape(report.host)} · evidence {evidence.moment(report.at)}</title>",
        # No script, no font, no picture: the page loads nothing from anywhere, and says so to the browser.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<style>{_STYLE}</style>\n</head>\n<body>",
        *_head(report),
        *(line for group in GROUPS for line in _group(group, report)),
        *(line for standard, items in evidence.requirements(report).items() for line in _standard(standard, items)),
        "</body>\n</html>",
    ]
    return "\n".join(parts) + "\n"


def _head(report: Evidence) -> Iterator[str]:
    yield f"<h1>통제 항목 증거 보고서 {_english('Evidence of the controls')}</h1>"
    yield f"<p>{escape(report.host)} · appliance {escape(report.appliance)} · {evidence.moment(report.at)}<br>"
    yield f"서명 키 machine key <code>{escape(report.machine_key)}</code></p>"
    yield f'<p class="note">{_both(controls.DISCLAIMER)}</p>'
    yield '<ul class="sum">'
    for outcome, name in _NAMES.items():
        yield f"<li><b>{report.count(outcome)}</b>{escape(name.korean)} {escape(name.english)}</li>"
    yield "</ul>"


def _group(group: controls.Group, report: Evidence) -> Iterator[str]:
    yield f"<h2>{_both(GROUPS[group])}</h2>"
    yield "<table><thead><tr><th>통제 control</th><th>결과 result</th><th>확인 내용 what was seen</th>"
    yield "<th>확인 방법 proof</th><th>관련 요구사항 requirements</th></tr></thead><tbody>"
    for control in CONTROLS:
        if control.group is group:
            yield _row(control, report.results[control.key])
    yield "</tbody></table>"


def _row(control: Control, result: Result) -> str:
    listed = {"PIPA": control.pipa, "ISMS-P": control.ismsp, "ISO 27001": control.iso, "대응 answers": control.threats}
    mapping = "<br>".join(f"{name} {escape(', '.join(items))}" for name, items in listed.items() if items)
    return (
        f'<tr id="{escape(control.key)}"><td>{_both(control.title)}<code>{escape(control.key)}</code></td>'
        f'{_cell(result.outcome)}<td class="reason">{_both(result.reason)}</td>'
        f"<td><code>{escape(control.proof)}</code></td><td>{mapping}</td></tr>"
    )


def _standard(standard: str, items: list[Requirement]) -> Iterator[str]:
    yield f"<h2>{escape(standard)}</h2>"
    yield "<table><thead><tr><th>항목 item</th><th>결과 result</th><th>증거 evidence</th></tr></thead><tbody>"
    for one in items:
        title = _both(STANDARDS[standard][one.item])
        links = ", ".join(f'<a href="#{escape(key)}"><code>{escape(key)}</code></a>' for key in one.keys)
        none = _both(Text("no technical evidence on the box", "서버에서 확인할 기술적 증거 없음"))
        cell = _cell(one.outcome) if one.outcome else "<td></td>"
        yield f"<tr><td>{escape(one.item)} {title}</td>{cell}<td>{links or none}</td></tr>"
    yield "</tbody></table>"


def _cell(outcome: Outcome) -> str:
    name = _NAMES[outcome]
    style = "NA" if outcome is Outcome.NOT_APPLICABLE else outcome.value
    return f'<td class="r {style}">{escape(name.english)}<br>{escape(name.korean)}</td>'


def _both(text: Text) -> str:
    if text.korean == text.english:
        return f"<span>{escape(text.korean)}</span>"
    return f"<span>{escape(text.korean)}</span>{_english(text.english)}"


def _english(text: str) -> str:
    return f'<span class="en" lang="en">{escape(text)}</span>'
