"""The list of the controls as a Markdown page: what is looked at, how to see it, and what it is evidence for."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.core import controls
from appliance.core.controls import CONTROLS, GROUPS, Control
from appliance.core.standards import STANDARDS
from appliance.core.upkeep import Text


def render() -> str:
    """The whole of ``docs/controls.md``."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Controls 통제 항목"
    yield ""
    yield "Made by `appliance report --list`; docs/evidence.md says how to read it."
    yield ""
    yield f"{controls.DISCLAIMER.english} {controls.DISCLAIMER.korean}"
    for group, title in GROUPS.items():
        yield ""
        yield f"## {title.english} {title.korean}"
        yield "| control | what holds | proof | answers | PIPA | ISMS-P | ISO/IEC 27001 |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        for control in CONTROLS:
            if control.group is group:
                yield _row(control)
    yield ""
    yield "## No technical evidence on the box 서버에서 확인할 기술적 증거가 없는 항목"
    yield "These are matters of people and paper. 사람과 문서로 관리하는 항목입니다."
    yield ""
    spoken = {item for control in CONTROLS for item in (*control.pipa, *control.ismsp, *control.iso)}
    for standard, items in STANDARDS.items():
        silent = [f"{item} {_once(title)}" for item, title in items.items() if item not in spoken]
        yield f"- {standard}: {', '.join(silent) or 'none 없음'}"


def _once(title: Text) -> str:
    return title.english if title.english == title.korean else f"{title.english} {title.korean}"


def _row(control: Control) -> str:
    cells = (
        f"`{control.key}`",
        f"{control.title.english}<br>{control.title.korean}",
        f"`{control.proof}`",
        *(", ".join(items) or "—" for items in (control.threats, control.pipa, control.ismsp, control.iso)),
    )
    return f"| {' | '.join(cells)} |"
