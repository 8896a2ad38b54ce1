"""The dashboard for whoever has a minute: is everything well, what was done today, what is there to do."""

from __future__ import annotations

from deploy.grafana.alerts import PROBLEMS, columns
from deploy.grafana.board import AMBER, BLUE, GREEN, RED, Board, Panel, Query, Row, Step, Words
from deploy.grafana.lights import BROKEN, CARE, OTHER, WELL, first_of, light, states, upkeep_is_stale, value

#: What monitoring asks is nobody's use.
_USE = 'route!~"/health/.*"'
_FREE = "min(appliance:disk_available:ratio)"
_BACKUP_AGE = "time() - appliance_backup_last_success_timestamp_seconds"
_NOT_YET = Words("아직 확인 안 됨", "not checked yet")
_STALE = Words("확인이 멈춤", "checks stopped")

_ENGINE = light(
    Words("AI 엔진", "AI engine"),
    Words(
        "학생의 질문에 실제로 답을 만들고 있는지 봅니다. 몇 초마다 한 단어를 실제로 만들게 해서 확인합니다.",
        "Whether answers are really being made: every few seconds the engine has to make one word.",
    ),
    Words(
        "스스로 다시 시작하므로 15분까지 기다립니다. 그래도 빨간색이면 `sudo systemctl status appliance-engine`의 마지막 줄과 "
        "docs/operations.md의 `EngineNotGenerating`을 봅니다.",
        "Wait up to fifteen minutes, it restarts by itself. If it stays red, read the last lines of "
        "`sudo systemctl status appliance-engine` and `EngineNotGenerating` in docs/operations.md.",
    ),
    states(
        Words("정상", "working"),
        Words("답하지 않음", "not answering"),
        care=Words("멈춰 있음", "hung"),
        unknown=Words("게이트웨이 없음", "gateway gone"),
    ),
    first_of(value(CARE, "appliance_engine_hung == 1"), "min(appliance_engine_ready)"),
)
_GPU = light(
    Words("GPU", "GPU"),
    Words(
        "그래픽 카드가 응답하는지, 드라이버가 조치를 요구하는지 봅니다. 이유는 GPU 화면에 있습니다.",
        "Whether the card answers, and whether its driver asks for something to be done. The GPU dashboard says why.",
    ),
    Words(
        "위 '지금 있는 문제와 할 일'의 GPU 경보를 보고 docs/operations.md에서 그 이름의 순서를 따릅니다. 이유는 GPU 화면에 있습니다.",
        "See which GPU alert stands in 'Problems now, and what to do' and follow the steps under its name in "
        "docs/operations.md. The reason is on the GPU dashboard.",
    ),
    states(
        Words("정상", "working"),
        Words("응답 없음", "lost"),
        care=Words("조치 필요", "wants care"),
        other=Words("GPU 없음", "no GPU"),
        unknown=Words("측정 안 됨", "not measured"),
    ),
    first_of(
        "min(appliance_gpu_up) == 0",
        value(CARE, 'appliance_gpu_recovery_action{action!="none"} == 1'),
        "min(appliance_gpu_up)",
        value(OTHER, "appliance_exporter_nvml_available == 0"),
    ),
)
_PRIVACY = light(
    Words("개인정보", "Privacy"),
    Words(
        "밖으로 나가는 길이 막혀 있는지(방화벽 규칙), 시험으로 보낸 문장이 파일, 로그, 프로세스에 남지 않았는지(매일 밤) 봅니다.",
        "Whether the ways out are closed (firewall rules as they should be), and whether the sentences that the nightly test "
        "plants were found nowhere: not in files, not in logs, not in what processes show of themselves.",
    ),
    Words(
        "개인정보 화면을 엽니다. 시험 문장이 발견되었으면 서버의 네트워크 선을 뽑고 책임자에게 알립니다.",
        "Open the Privacy dashboard. If a planted sentence was found, pull the server's network cable and tell the person in charge.",
    ),
    states(Words("안전", "nothing leaves"), Words("문제 있음", "in danger"), care=_STALE, unknown=_NOT_YET),
    first_of(
        'min({__name__=~"appliance_privacy_test_passed|appliance_egress_rules_loaded"}) == 0',
        upkeep_is_stale(),
        "min(appliance_privacy_test_passed) * min(appliance_egress_rules_loaded)",
    ),
)
_AUDIT = light(
    Words("감사 기록", "Audit"),
    Words(
        "누가 언제 썼는지의 기록(내용은 없음)이 빠짐없이 이어지는지, 지금 쓸 수 있는지 봅니다.",
        "Whether the record of who asked when (never what) is unbroken, and can be written now.",
    ),
    Words(
        "디스크가 가득 찼는지 먼저 봅니다. 기록이 끊어졌으면 지우거나 고치지 말고 `appliance report --verify-audit`의 출력을 보관합니다.",
        "First see whether the disk is full. If the record is broken, delete and mend nothing, and keep what "
        "`appliance report --verify-audit` prints.",
    ),
    states(Words("정상", "unbroken"), Words("끊어짐", "broken"), care=_STALE, unknown=_NOT_YET),
    first_of(
        'min({__name__=~"appliance_audit_intact|appliance_audit_writable"}) == 0',
        upkeep_is_stale(),
        "min(appliance_audit_intact)",
    ),
)
_BACKUP = light(
    Words("백업", "Backup"),
    Words(
        "마지막으로 성공한 백업이 36시간보다 오래되지 않았는지 봅니다.",
        "Whether the last good backup is less than 36 hours old.",
    ),
    Words(
        "백업 디스크가 꽂혀 있는지 보고 `sudo systemctl start appliance-backup`으로 지금 한 번 해 봅니다.",
        "See that the backup disk is plugged in, then try one now: `sudo systemctl start appliance-backup`.",
    ),
    states(
        Words("정상", "fresh"),
        Words("오래됨", "too old"),
        care=Words("설정 안 됨", "not set up"),
        unknown=_NOT_YET,
    ),
    first_of(
        value(CARE, "appliance_backup_configured == 0"),
        value(BROKEN, f"{_BACKUP_AGE} > 36 * 3600"),
        value(WELL, f"{_BACKUP_AGE} <= 36 * 3600"),
        value(BROKEN, "appliance_backup_configured == 1"),
    ),
)
_DISK = light(
    Words("디스크", "Disk"),
    Words(
        "가장 찬 디스크에 15 % 넘게 남아 있는지 봅니다. 5 %보다 적으면 빨간색입니다.",
        "Whether the fullest disk has more than 15 % left. Below 5 % it is red.",
    ),
    Words(
        "`sudo du -xh --max-depth=2 /var | sort -h | tail`로 무엇이 큰지 보고, 쓰지 않는 모델 묶음을 지웁니다.",
        "See what is large with `sudo du -xh --max-depth=2 /var | sort -h | tail`, and remove model bundles that are not used.",
    ),
    states(
        Words("여유 있음", "room left"),
        Words("곧 가득 참", "nearly full"),
        care=Words("얼마 안 남음", "getting full"),
        unknown=Words("측정기 없음", "exporter gone"),
    ),
    first_of(value(BROKEN, f"{_FREE} < 0.05"), value(CARE, f"{_FREE} < 0.15"), value(WELL, _FREE)),
)

_TODAY = (
    Panel(
        Words("오늘 받은 요청", "Requests today"),
        Words("앱들이 보낸 요청의 수. 정확한 장부는 `appliance usage`입니다.", "Requests of the apps. The exact account is `appliance usage`."),
        "short",
        (Query(f"sum(increase(appliance_requests_total{{{_USE}}}[$__range])) or vector(0)", "요청 · requests"),),
        "number", base=BLUE, width=4, height=5, decimals=0,
    ),
    Panel(
        Words("오늘 쓴 글자 조각(토큰)", "Tokens today"),
        Words("학생의 글(input)과 만든 답(output)의 길이. cached는 입력 가운데 다시 읽지 않은 것입니다.", "The length of what pupils wrote (input) and of the answers (output); cached is the part of the input that needed no reading again."),
        "short",
        (Query("sum by (kind) (increase(appliance_tokens_total[$__range]))", "{{kind}}"),),
        "number", base=BLUE, width=5, height=5, decimals=0,
    ),
    Panel(
        Words("오늘 쓴 앱", "Apps today"),
        Words("오늘 한 번이라도 요청한 앱의 수.", "Apps that asked at least once today."),
        "short",
        (Query(f"count(sum by (app) (increase(appliance_requests_total{{{_USE},app!='(none)'}}[$__range])) > 0) or vector(0)", "앱 · apps"),),
        "number", base=BLUE, width=3, height=5, decimals=0,
    ),
    Panel(
        Words("오늘 GPU 전기 요금", "GPU power today"),
        Words(
            "GPU가 쓴 전기를 설정의 단가(`energy.won_per_kwh`)로 셈한 값. 서버의 나머지와 냉방은 들어 있지 않습니다.",
            "What the GPU used, at the price in the settings (`energy.won_per_kwh`). The rest of the server and cooling are not in it.",
        ),
        "currencyKRW",
        (Query("sum(increase(appliance_gpu_energy_joules_total[$__range])) / 3.6e6 * scalar(max(appliance_electricity_price_won_per_kwh))", "원 · won"),),
        "number", base=BLUE, width=4, height=5, decimals=0,
    ),
    Panel(
        Words("오늘 실패한 비율", "Failed today"),
        Words(
            "서버 탓으로 실패한 요청(5xx)의 비율. 앱이 잘못 보낸 것은 세지 않습니다.",
            "Share of requests that failed by our fault (5xx); what an app sent wrongly does not count.",
        ),
        "percentunit",
        (
            Query(
                f'(sum(increase(appliance_requests_total{{{_USE},code=~"5.."}}[$__range])) or vector(0)) / '
                f"clamp_min(sum(increase(appliance_requests_total{{{_USE}}}[$__range])), 1)",
                "실패 · failed",
            ),
        ),
        "number",
        Words("지연 시간 화면과 앱 화면의 '거절된 이유'를 봅니다.", "See 'Why requests were refused' on the Apps dashboard."),
        steps=(Step(0.01, AMBER), Step(0.05, RED)), width=4, height=5, decimals=2,
    ),
    Panel(
        Words("첫 글자까지", "Time to first word"),
        Words(
            "수업 시간 요청 100개 가운데 95개가 이 시간 안에 첫 글자를 받았습니다(최근 5분).",
            "95 of 100 interactive requests had their first word within this time (last five minutes).",
        ),
        "s",
        (Query('max(appliance:time_to_first_token_seconds:p95_5m{class="interactive"})', "p95"),),
        "number",
        Words("지연 시간 화면을 열어 기다림인지 엔진인지 봅니다.", "Open the Latency dashboard: is it the queue or the engine?"),
        steps=(Step(2, AMBER), Step(5, RED)), width=4, height=5, decimals=2,
    ),
)  # fmt: skip

_PROBLEMS = Panel(
    Words("지금 있는 문제와 할 일", "Problems now, and what to do"),
    Words(
        "비어 있으면 문제가 없습니다. 위에 있는 것부터 합니다. 문제마다의 자세한 순서는 docs/operations.md에 있습니다.",
        "Empty means that nothing is wrong. Begin at the top. docs/operations.md has the steps for each.",
    ),
    "none",
    (
        Query(
            PROBLEMS,
            "{{alertname}}",
        ),
    ),
    "table",
    columns=columns(),
    width=24,
    height=8,
)

_BOX = (
    Panel(
        Words("디스크에 남은 공간", "Room left on the disks"),
        Words("디스크마다 남은 비율. 기록과 모델은 /var에 있습니다.", "Share left of each disk. Records and models are under /var."),
        "percentunit",
        (Query("appliance:disk_available:ratio", "{{mountpoint}}"),),
        red=Words("위의 '디스크'와 같습니다.", "As for 'Disk' above."),
        base=RED, steps=(Step(0.05, AMBER), Step(0.15, GREEN)), width=6, largest=1,
    ),
    Panel(
        Words("메모리에 남은 공간", "Memory left"),
        Words("서버의 주 메모리(GPU 메모리 아님) 가운데 쓸 수 있는 양.", "How much of the server's main memory (not the GPU's) can be used."),
        "bytes",
        (
            Query("node_memory_MemAvailable_bytes", "남음 · available"),
            Query("node_memory_MemTotal_bytes", "전체 · total"),
        ),
        red=Words("다른 프로그램이 서버에서 돌고 있는지 봅니다. 이 서버는 다른 일을 하지 않아야 합니다.", "See whether another program runs on this server; it should do nothing else."),
        width=6,
    ),
    Panel(
        Words("프로세서 사용", "Processor use"),
        Words("모든 코어를 더한 사용 비율. 답은 GPU가 만들므로 보통 낮습니다.", "Share of all cores in use. The GPU makes the answers, so it is usually low."),
        "percentunit",
        (Query('1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))', "사용 · used"),),
        red=Words("90 %가 오래 가면 `top`으로 무엇인지 봅니다.", "If it stays above 90 %, see with `top` what it is."),
        steps=(Step(0.9, RED),), width=6, largest=1,
    ),
    Panel(
        Words("시계 오차", "Clock offset"),
        Words(
            "시계가 시간 서버와 얼마나 다른지(chrony가 잰 값). 기록의 시각과 인증서 검사가 시계에 달려 있습니다.",
            "How far the clock is off its time server, as chrony measures it. Times in the records and the check of certificates depend on it.",
        ),
        "s",
        (Query("max(abs(appliance_clock_offset_seconds))", "오차 · offset"),),
        red=Words("시간 서버에 닿는지 `chronyc tracking`으로 봅니다(docs/operations.md의 `ClockSkew`).", "See with `chronyc tracking` whether the time server in the building is reached (`ClockSkew` in docs/operations.md)."),
        steps=(Step(1, AMBER), Step(5, RED)), width=6,
    ),
)  # fmt: skip

BOARD = Board(
    "overview",
    Words("한눈에 보기", "Overview"),
    Words(
        "누구나 보는 첫 화면. 초록이면 할 일이 없습니다.",
        "The first page, for everybody. Green means that there is nothing to do.",
    ),
    (
        Row(Words("괜찮은가?", "Is everything well?"), (_ENGINE, _GPU, _PRIVACY, _AUDIT, _BACKUP, _DISK)),
        Row(Words("할 일", "What to do"), (_PROBLEMS,)),
        Row(Words("오늘", "Today"), _TODAY),
        Row(Words("서버", "The server"), _BOX),
    ),
    since="now/d",
)
