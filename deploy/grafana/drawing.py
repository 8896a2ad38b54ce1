"""Make Grafana's JSON of a dashboard, with Grafana's own builder."""

from __future__ import annotations

import json
from collections.abc import Callable
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.board import GREY, Board, Column, Panel, Query, Words

#: The id that ``provisioning/datasources`` gives to Prometheus.
DATASOURCE = DataSourceRef(type_val="prometheus", uid="appliance-prometheus")
TAG = "appliance"
NO_VALUE = Words("자료 없음", "no data")
Builder = stat.Panel | table.Panel | timeseries.Panel


def draw(board: Board) -> str:
    """The dashboard as the JSON file that Grafana is provisioned with."""
    drawn = (
        dashboard.Dashboard(f"{board.title.line}")
        .uid(board.uid)
        .description(board.text.paragraphs)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time(board.since, "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("다른 화면 · Other dashboards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .keep_time(False)
        )
    )
    for label, metric in board.choices:
        drawn.with_variable(_choice(label, metric))
    number = 0
    for row in board.rows:
        number += 1
        drawn.with_row(dashboard.Row(row.title.line).id(number))
        for panel in row.panels:
            number += 1
            drawn.with_panel(_panel(panel).id(number))
    return json.dumps(drawn.build(), cls=JSONEncoder, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def description(panel: Panel) -> str:
    """What stands behind the panel's ``i``: what it shows, and what to do."""
    if panel.red is None:
        return panel.text.paragraphs
    return f"{panel.text.paragraphs}\n\n**빨간색이면** {panel.red.ko}\n\n**If it is red** {panel.red.en}"


def _choice(label: str, metric: str) -> dashboard.QueryVariable:
    everything = VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        dashboard.QueryVariable(label)
        .label({"app": "앱 · app"}.get(label, label))
        .datasource(DATASOURCE)
        .query(f"label_values({metric}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )


def _panel(panel: Panel) -> Builder:
    drawn = _BUILDERS[panel.kind](panel)
    drawn.title(panel.title.line).description(description(panel)).datasource(DATASOURCE)
    drawn.unit(panel.unit).span(panel.width).height(panel.height).no_value(NO_VALUE.line)
    drawn.thresholds(_thresholds(panel))
    if panel.decimals is not None:
        drawn.decimals(panel.decimals)
    if panel.largest is not None:
        drawn.max(panel.largest)
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        drawn.with_target(_target(query, letter, panel.kind))
    return drawn


def _target(query: Query, letter: str, kind: str) -> prometheus.Dataquery:
    asked = prometheus.Dataquery().expr(query.promql).legend_format(query.legend).ref_id(letter).datasource(DATASOURCE)
    if kind in {"lines", "areas"}:
        return asked.range()
    return asked.instant().format(PromQueryFormat.TABLE if kind == "table" else PromQueryFormat.TIME_SERIES)


def _light(panel: Panel) -> stat.Panel:
    """A word on a coloured ground."""
    mapped: list[ValueMapping] = [
        ValueMap(
            options={
                str(state.value): ValueMappingResult(text=state.words.line, color=state.colour, index=index)
                for index, state in enumerate(panel.states)
            }
        )
    ]
    return _number(panel).mappings(mapped).color_mode(shapes.BigValueColorMode.BACKGROUND_SOLID)


def _number(panel: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .color_mode(shapes.BigValueColorMode.VALUE)
        .justify_mode(shapes.BigValueJustifyMode.CENTER)
        .text_mode(shapes.BigValueTextMode.VALUE if _is_single(panel) else shapes.BigValueTextMode.VALUE_AND_NAME)
    )


def _is_single(panel: Panel) -> bool:
    """Whether it has one value, whose name its title has said."""
    return len(panel.queries) == 1 and "{{" not in panel.queries[0].legend


def _lines(panel: Panel) -> timeseries.Panel:
    drawn = (
        timeseries.Panel()
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(shapes.LegendDisplayMode.TABLE)
            .placement(shapes.LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .line_width(2)
        .show_points(shapes.VisibilityMode.AUTO)
        .span_nulls(False)
        .axis_soft_min(0)
    )
    if panel.steps:
        drawn.thresholds_style(common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED))
    return drawn


def _areas(panel: Panel) -> timeseries.Panel:
    stacked = common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A")
    return _lines(panel).stacking(stacked).fill_opacity(40)


def _table(panel: Panel) -> table.Panel:
    shown = {column.field: index for index, column in enumerate(panel.columns)}
    renamed = {column.field: column.title.line for column in panel.columns}
    first = common.TableSortByFieldState().display_name(panel.columns[0].title.line).desc(False)
    drawn = table.Panel().cell_options(shapes.TableAutoCellOptions(wrap_text=True)).sort_by([first])
    if len(panel.queries) > 1:
        drawn.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    # Columns are chosen by name, so that a label that Prometheus adds is not shown.
    keep = DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(shown)}})
    order = DataTransformerConfig(id_val="organize", options={"indexByName": shown, "renameByName": renamed})
    drawn.with_transformation(keep).with_transformation(order)
    for column in panel.columns:
        drawn.override_by_name(column.title.line, _column(column))
    return drawn


def _column(column: Column) -> list[DynamicConfigValue]:
    properties: list[DynamicConfigValue] = []
    if column.unit:
        properties.append(DynamicConfigValue(id_val="unit", value=column.unit))
    if column.width:
        properties.append(DynamicConfigValue(id_val="custom.width", value=column.width))
    if column.texts:
        options = {
            value: ValueMappingResult(text=text, color=colour or None, index=index)
            for index, (value, text, colour) in enumerate(column.texts)
        }
        properties.append(DynamicConfigValue(id_val="mappings", value=[ValueMap(options=options)]))
    if any(colour for _, _, colour in column.texts):
        properties.append(DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"}))
    return properties


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    base = GREY if panel.states else panel.base
    steps = [Threshold(value=None, color=base)]
    steps += [Threshold(value=step.value, color=step.colour) for step in panel.steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


_BUILDERS: dict[str, Callable[[Panel], Builder]] = {
    "light": _light,
    "number": _number,
    "lines": _lines,
    "areas": _areas,
    "table": _table,
}
