"""The card: is it there, how busy, how hot, what holds it back, is its memory sound."""

from __future__ import annotations

from deploy.grafana.board import AMBER, BLUE, GREEN, RED, Board, Column, Panel, Query, Row, Step, Words
from deploy.grafana.lights import BROKEN, CARE, OTHER, WELL, first_of, light, states, value

_GONE = Words("측정 안 됨", "not measured")
_LIGHTS = (
    light(
        Words("응답", "Answers"),
        Words("카드가 이번 측정에 답했는지.", "Whether the card answered the last reading."),
        Words(
            "아래 '응답하지 않는 이유, 드라이버의 요구'를 보고 docs/operations.md의 `GpuLost`를 따릅니다: reset_required면 GPU 초기화, lost나 hung이면 다시 부팅.",
            "See 'Why it does not answer, what the driver asks for' below, then follow `GpuLost` in docs/operations.md: "
            "reset the GPU for reset_required, reboot for lost or hung.",
        ),
        states(
            Words("정상", "working"), Words("응답 없음", "lost"), other=Words("GPU 없음", "no GPU"), unknown=_GONE
        ),
        first_of("min(appliance_gpu_up)", value(OTHER, "appliance_exporter_nvml_available == 0")),
    ),
    light(
        Words("온도", "Temperature"),
        Words("느려지는 온도까지 10 °C 넘게 남아 있는지.", "Whether there are more than 10 °C left to the temperature at which it slows down."),
        Words("서버 앞뒤의 먼지와 바람길, 방의 냉방을 봅니다.", "Look for dust and blocked air before and behind the server, and at the room's cooling."),
        states(Words("정상", "cool"), Words("너무 뜨거움", "too hot"), care=Words("뜨거움", "hot"), unknown=_GONE),
        first_of(
            value(BROKEN, "appliance_gpu_temperature_margin_celsius <= 0"),
            value(CARE, "appliance_gpu_temperature_margin_celsius < 10"),
            value(WELL, "appliance_gpu_temperature_margin_celsius"),
        ),
    ),
    light(
        Words("카드 메모리의 건강", "The card's memory"),
        Words("고칠 수 없는 오류나, 초기화해야 끝나는 수리(행 교체)가 있는지.", "Errors that could not be corrected, or repairs that wait for a reset (row remapping)."),
        Words(
            "주황이면 수업이 끝난 뒤 GPU를 초기화합니다(docs/operations.md의 `GpuRowRemapPending`, `GpuEccUncorrected`). 빨간색이면 카드를 바꿔야 합니다(`GpuRowRemapFailed`).",
            "Amber: reset the GPU after school (`GpuRowRemapPending`, `GpuEccUncorrected` in docs/operations.md). Red: the card "
            "has to be exchanged (`GpuRowRemapFailed`).",
        ),
        states(
            Words("정상", "sound"),
            Words("교체 필요", "exchange it"),
            care=Words("초기화 필요", "reset it"),
            unknown=Words("알 수 없음", "not told"),
        ),
        first_of(
            value(BROKEN, "appliance_gpu_row_remap_failed == 1"),
            value(CARE, "appliance_gpu_row_remap_pending == 1"),
            value(CARE, "appliance_gpu_retired_pages_pending == 1"),
            value(CARE, 'appliance_gpu_ecc_errors_total{kind="uncorrected",lifetime="volatile"} > 0'),
            value(WELL, "appliance_gpu_row_remap_failed"),
            value(WELL, "appliance_gpu_retired_pages_pending"),
            value(WELL, 'appliance_gpu_ecc_errors_total'),
        ),
    ),
    Panel(
        Words("어느 카드", "Which card"),
        Words("이름과 버전.", "Name and versions."),
        "none",
        (Query("appliance_gpu_info", "{{name}}"), Query("appliance_gpu_driver_info", "{{driver}}")),
        "table",
        columns=(
            Column("gpu", Words("번호", "No."), width=60),
            Column("name", Words("이름", "Name")),
            Column("vbios", Words("VBIOS", "VBIOS")),
            Column("driver", Words("드라이버", "Driver")),
        ),
        width=12,
        height=4,
    ),
)  # fmt: skip

_REASONS = Panel(
    Words("응답하지 않는 이유, 드라이버의 요구", "Why it does not answer, what the driver asks for"),
    Words("비어 있으면 문제가 없습니다.", "Empty means that nothing is wrong."),
    "none",
    (
        Query("appliance_gpu_down_reason == 1", "{{reason}}"),
        Query("appliance_exporter_nvml_unavailable_reason == 1", "{{reason}}"),
        Query('appliance_gpu_recovery_action{action!="none"} == 1', "{{action}}"),
    ),
    "table",
    Words(
        "lost: 카드가 버스에서 사라짐. hung: 답이 오지 않음. 할 일은 docs/operations.md의 `GpuLost`, `NvmlUnavailable`, `GpuRecoveryActionRequested`. 그 밖의 뜻은 docs/exporter.md.",
        "lost: it fell off the bus. hung: calls do not return. What to do: `GpuLost`, `NvmlUnavailable`, `GpuRecoveryActionRequested` in docs/operations.md. Other words: docs/exporter.md.",
    ),
    columns=(
        Column("gpu", Words("번호", "No."), width=60),
        Column("reason", Words("이유", "Reason")),
        Column("action", Words("드라이버의 요구", "Driver asks for")),
    ),
    width=12,
    height=6,
)
_XIDS = Panel(
    Words("XID(카드의 오류 번호)", "XIDs (the card's error numbers)"),
    Words(
        "고른 시간 동안 온 오류 번호와 NVIDIA가 권하는 첫 조치. 비어 있으면 오류가 없었습니다.",
        "Error numbers that came in the chosen time, with the first thing that NVIDIA recommends. Empty: there were none.",
    ),
    "short",
    (Query("sum by (gpu, xid, action) (increase(appliance_gpu_xid_errors_total[$__range])) > 0", "{{xid}}"),),
    "table",
    Words(
        "오른쪽 칸의 조치를 docs/operations.md의 순서대로 합니다(`GpuXid…`). 뜻은 docs/exporter.md에 있습니다.",
        "Do what the column says, by the steps in docs/operations.md (`GpuXid…`); docs/exporter.md explains the numbers.",
    ),
    columns=(
        Column("gpu", Words("번호", "No."), width=60),
        Column("xid", Words("XID", "XID"), width=80),
        Column(
            "action",
            Words("할 일", "Do this"),
            texts=(
                ("restart_application", "엔진 다시 시작 · restart the engine", ""),
                ("record", "적어만 둠 · only note it", ""),
                ("follow_other_xid", "함께 온 XID를 따름 · see the XID beside it", ""),
                ("reset_gpu", "GPU 초기화 · reset the GPU", ""),
                ("follow_workflow", "공급사에 로그를 보냄 · send logs to the supplier", ""),
                ("check_hardware", "전원 선과 카드를 확인 · check cables and seat", ""),
                ("update_software", "드라이버 갱신 · update the driver", ""),
                ("reboot", "다시 부팅 · reboot the server", ""),
                ("contact_support", "공급사에 연락 · call the supplier", ""),
                ("follow_recovery_action", "드라이버의 요구를 따름 · do what the driver asks for", ""),
                ("unknown", "공급사에 물어봄 · ask the supplier", ""),
            ),
        ),
        Column("Value", Words("횟수", "Times"), "short", width=120),
    ),
    width=12,
    height=6,
    decimals=0,
)

_BUSY = Row(
    Words("얼마나 바쁜가", "How busy it is"),
    (
        Panel(
            Words("사용률", "Utilisation"),
            Words("카드가 일하고 있던 시간의 비율과 카드 메모리를 읽고 쓴 시간의 비율.", "Share of the time in which the card worked, and in which its memory was read or written."),
            "percentunit",
            (
                Query("appliance_gpu_utilization_ratio", "GPU {{gpu}}"),
                Query("appliance_gpu_memory_utilization_ratio", "메모리 · memory {{gpu}}"),
            ),
            largest=1,
        ),
        Panel(
            Words("카드 메모리", "The card's memory in use"),
            Words("모델과 대화가 차지한 메모리. 엔진이 시작할 때 대부분을 잡아 두므로 거의 가득 찬 것이 정상입니다.", "What model and conversations hold. The engine takes most of it at its start: nearly full is normal."),
            "bytes",
            (
                Query("appliance_gpu_memory_used_bytes", "사용 · used {{gpu}}"),
                Query("appliance_gpu_memory_size_bytes", "전체 · all {{gpu}}"),
            ),
        ),
        Panel(
            Words("카드를 쓰는 프로그램", "Processes on the card"),
            Words("종류별 수. 엔진 하나만 있어야 합니다.", "By kind. There should be the engine alone."),
            "short",
            (Query("appliance_gpu_processes", "{{kind}} {{gpu}}"),),
        ),
    ),
)  # fmt: skip
_POWER = Row(
    Words("전기와 열", "Power and heat"),
    (
        Panel(
            Words("전력", "Power"),
            Words("카드가 쓰는 전력과 상한. 상한에 닿는 것은 바쁠 때 정상입니다.", "What it draws, and its limit. Touching the limit under load is normal."),
            "watt",
            (
                Query("appliance_gpu_power_watts", "GPU {{gpu}}"),
                Query('appliance_gpu_power_limit_watts{limit="enforced"}', "상한 · limit {{gpu}}"),
            ),
        ),
        Panel(
            Words("고른 시간의 에너지", "Energy in the chosen time"),
            Words("카드가 쓴 전기(kWh).", "What the card used, in kWh."),
            "kwatth",
            (Query("sum by (gpu) (increase(appliance_gpu_energy_joules_total[$__range])) / 3.6e6", "GPU {{gpu}}"),),
            "number", base=BLUE, width=4, decimals=2,
        ),
        Panel(
            Words("전기 요금(시간당)", "Won an hour"),
            Words("지난 한 시간 카드의 전기 요금. 단가는 설정 `energy.won_per_kwh`.", "The card's electricity of the last hour, at `energy.won_per_kwh`."),
            "currencyKRW",
            (Query("appliance:gpu_energy_won:1h", "원 · won"),),
            "number", base=BLUE, width=4, decimals=0,
        ),
        Panel(
            Words("온도", "Temperatures"),
            Words("칩과 메모리의 온도, 느려지기까지 남은 온도.", "Of the die and of the memory, and how much is left until it slows down."),
            "celsius",
            (
                Query("appliance_gpu_temperature_celsius", "{{sensor}} {{gpu}}"),
                Query("appliance_gpu_temperature_margin_celsius", "남은 여유 · margin {{gpu}}"),
            ),
            red=Words("먼지, 바람길, 방의 냉방을 봅니다.", "Dust, blocked air, the room's cooling."),
        ),
        Panel(
            Words("클럭", "Clocks"),
            Words("지금의 주파수와 그 상한. 일이 없으면 낮은 것이 정상입니다.", "Frequencies now and their limits. Low without work is normal."),
            "hertz",
            (
                Query('appliance_gpu_clock_hertz{clock=~"sm|memory"}', "{{clock}} {{gpu}}"),
                Query('appliance_gpu_clock_max_hertz{clock=~"sm|memory"}', "상한 · limit {{clock}} {{gpu}}"),
            ),
        ),
        Panel(
            Words("느려진 이유", "Why it was slowed down"),
            Words(
                "클럭이 눌린 시간의 비율을 이유별로. sw_power_cap은 바쁠 때 정상, hw_와 thermal이 붙은 것은 냉방이나 전원 문제, "
                "low_utilization은 일이 없는 것.",
                "Share of the time in which clocks were held down, by reason. sw_power_cap is normal under load, hw_ and "
                "thermal mean cooling or supply, low_utilization no work.",
            ),
            "percentunit",
            (Query("rate(appliance_gpu_throttle_seconds_total[$__rate_interval])", "{{reason}} {{gpu}}"),),
            red=Words(
                "hw_thermal, sw_thermal, thermal: 냉방. hw_power_brake, hw_slowdown: 전원 선과 전원 장치를 봅니다.",
                "hw_thermal, sw_thermal, thermal: cooling. hw_power_brake, hw_slowdown: power cables and supply.",
            ),
        ),
        Panel(
            Words("지금 클럭을 누르는 것", "What holds the clocks down now"),
            Words("1이면 지금 그 이유로 느립니다.", "1: slowed down for this reason now."),
            "short",
            (Query("appliance_gpu_throttle_active", "{{reason}} {{gpu}}"),),
            red=Words("옆의 '느려진 이유'와 같습니다.", "As for 'Why it was slowed down'."),
        ),
    ),
)  # fmt: skip
_SOUND = Row(
    Words("부품의 건강", "Is the hardware sound?"),
    (
        _REASONS,
        _XIDS,
        Panel(
            Words("메모리 오류(ECC)", "Memory errors (ECC)"),
            Words(
                "corrected는 스스로 고친 것, uncorrected는 못 고친 것. volatile은 드라이버가 시작한 뒤, aggregate는 카드의 평생.",
                "corrected: mended by itself; uncorrected: not. volatile: since the driver was loaded; aggregate: over the card's life.",
            ),
            "short",
            (Query("appliance_gpu_ecc_errors_total", "{{kind}} {{lifetime}} {{gpu}}"),),
            red=Words("uncorrected가 늘면 docs/operations.md의 `GpuEccUncorrected`를 따릅니다.", "If uncorrected rises, follow `GpuEccUncorrected` in docs/operations.md."),
        ),
        Panel(
            Words("교체된 메모리 행", "Remapped rows"),
            Words("고장 나서 예비로 바뀐 행과, 초기화를 기다리는 교체.", "Rows replaced by spare ones, and replacements that wait for a reset."),
            "short",
            (
                Query("appliance_gpu_remapped_rows_total", "{{cause}} {{gpu}}"),
                Query("appliance_gpu_row_remap_pending", "대기 · pending {{gpu}}"),
                Query("appliance_gpu_row_remap_failed", "실패 · failed {{gpu}}"),
            ),
            red=Words("'대기'가 1이면 docs/operations.md의 `GpuRowRemapPending`, '실패'가 1이면 `GpuRowRemapFailed`를 따릅니다.", "In docs/operations.md: pending 1, follow `GpuRowRemapPending`; failed 1, `GpuRowRemapFailed`."),
            steps=(Step(1, AMBER),),
        ),
        Panel(
            Words("PCIe 연결", "PCI Express"),
            Words("연결의 세대와 폭. 바쁠 때도 최대보다 낮으면 카드가 덜 꽂힌 것일 수 있습니다.", "Generation and width of the link. Below the highest under load: the card may sit badly in its slot."),
            "short",
            (
                Query("appliance_gpu_pcie_link_generation", "세대 · generation {{state}} {{gpu}}"),
                Query("appliance_gpu_pcie_link_width_lanes", "폭 · lanes {{state}} {{gpu}}"),
            ),
            red=Words("전원을 끄고 카드를 다시 꽂습니다.", "Power off and seat the card anew."),
        ),
        Panel(
            Words("PCIe 오류", "PCI Express errors"),
            Words("다시 보낸 묶음과 연결 오류(분당).", "Packets sent again and errors of the link, a minute."),
            "cpm",
            (
                Query("60 * rate(appliance_gpu_pcie_replays_total[$__rate_interval])", "replays {{gpu}}"),
                Query("60 * sum by (gpu, kind) (rate(appliance_gpu_pcie_errors_total[$__rate_interval]))", "{{kind}} {{gpu}}"),
            ),
            red=Words("계속 늘면 카드를 다시 꽂고, 그래도 늘면 공급사에 연락합니다.", "If they go on rising, seat the card anew, then call the supplier."),
            steps=(Step(60, AMBER),),
        ),
        Panel(
            Words("PCIe 통신량", "PCI Express traffic"),
            Words("서버와 카드 사이의 통신.", "Between server and card."),
            "Bps",
            (Query("appliance_gpu_pcie_throughput_bytes_per_second", "{{direction}} {{gpu}}"),),
        ),
        Panel(
            Words("측정 자체", "The measuring itself"),
            Words("측정 항목마다 성공(1)했는지.", "Whether each collector succeeded (1)."),
            "short",
            (Query("min by (collector) (appliance_exporter_collector_success)", "{{collector}}"),),
            red=Words("`journalctl -u appliance-exporter`를 봅니다.", "See `journalctl -u appliance-exporter`."),
            base=RED, steps=(Step(1, GREEN),),
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "gpu",
    Words("GPU", "GPU"),
    Words(
        "카드가 성한가, 얼마나 바쁘고 뜨거운가, 무엇이 느리게 하는가.",
        "Is the card sound, how busy and hot is it, what slows it down.",
    ),
    (Row(Words("성한가?", "Is it well?"), _LIGHTS), _BUSY, _POWER, _SOUND),
)
