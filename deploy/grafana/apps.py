"""Who uses the box, how much, what it costs and what was refused."""

from __future__ import annotations

from deploy.grafana.board import AMBER, RED, Board, Column, Panel, Query, Row, Step, Words

_APP = 'app=~"$app"'
_TODAY = Panel(
    Words("고른 시간 동안 앱마다", "By app in the chosen time"),
    Words(
        "요청, 토큰, 실패, GPU 전기 요금을 앱마다 더한 것. 요금은 출력 토큰의 몫으로 나눕니다. 정확한 장부는 `appliance usage`입니다.",
        "Requests, tokens, failures and the GPU's electricity by app. Cost is shared out by output tokens. The exact "
        "account is `appliance usage`.",
    ),
    "short",
    (
        Query(f"sum by (app) (increase(appliance_requests_total{{{_APP}}}[$__range]))", "{{app}}"),
        Query(f'sum by (app) (increase(appliance_tokens_total{{{_APP},kind="input"}}[$__range]))', "{{app}}"),
        Query(f'sum by (app) (increase(appliance_tokens_total{{{_APP},kind="output"}}[$__range]))', "{{app}}"),
        Query(f'sum by (app) (increase(appliance_requests_total{{{_APP},code=~"429"}}[$__range]))', "{{app}}"),
        # Worked out every minute: each sample stands for a sixtieth of its hour.
        Query(f"sum by (app) (sum_over_time(appliance:app_won:1h{{{_APP}}}[$__range])) / 60", "{{app}}"),
    ),
    "table",
    columns=(
        Column("app", Words("앱", "App")),
        Column("Value #A", Words("요청", "Requests"), "short"),
        Column("Value #B", Words("입력 토큰", "Input tokens"), "short"),
        Column("Value #C", Words("출력 토큰", "Output tokens"), "short"),
        Column("Value #D", Words("한도에 걸림", "Over a limit"), "short"),
        Column("Value #E", Words("전기 요금", "Electricity"), "currencyKRW"),
    ),
    width=24,
    height=9,
    decimals=0,
)
_USE = Row(
    Words("누가 얼마나 쓰는가", "Who uses how much"),
    (
        _TODAY,
        Panel(
            Words("앱별 요청", "Requests by app"),
            Words("초당 요청 수.", "Requests a second."),
            "reqps",
            (Query(f"appliance:app_requests:rate5m{{{_APP}}}", "{{app}}"),),
            "areas",
        ),
        Panel(
            Words("앱별 출력 토큰", "Output tokens by app"),
            Words("초당 만든 답의 길이. 서버의 힘은 여기에 가장 많이 듭니다.", "Length of answers made a second: what costs the box most."),
            "suffix: tok/s",
            (Query(f'appliance:app_tokens:rate5m{{{_APP},kind="output"}}', "{{app}}"),),
            "areas",
        ),
        Panel(
            Words("앱별 입력 토큰", "Input tokens by app"),
            Words("초당 읽은 질문의 길이.", "Length of questions read a second."),
            "suffix: tok/s",
            (Query(f'appliance:app_tokens:rate5m{{{_APP},kind="input"}}', "{{app}}"),),
            "areas",
        ),
    ),
)  # fmt: skip
_COST = Row(
    Words("전기 요금", "What it costs in power"),
    (
        Panel(
            Words("앱별 시간당 요금", "Won an hour by app"),
            Words("지난 한 시간 GPU 전기 요금을 출력 토큰의 몫으로 나눈 것.", "The GPU's electricity of the last hour, shared out by output tokens."),
            "currencyKRW",
            (Query(f"appliance:app_won:1h{{{_APP}}}", "{{app}}"),),
            "areas",
        ),
        Panel(
            Words("출력 1,000토큰의 요금", "Won per 1,000 output tokens"),
            Words("답 1,000토큰을 만드는 데 든 GPU 전기 요금(지난 한 시간, 노는 시간 포함).", "The GPU's electricity for 1,000 tokens of answers, idle time included (last hour)."),
            "currencyKRW",
            (Query("appliance:won_per_1000_output_tokens:1h", "원 · won"),),
            decimals=2,
        ),
        Panel(
            Words("출력 1,000토큰의 에너지", "Energy per 1,000 output tokens"),
            Words("같은 것을 에너지(J)로. 단가가 바뀌어도 견줄 수 있습니다.", "The same in joules, which can be compared whatever the price."),
            "joule",
            (Query("appliance:joules_per_1000_output_tokens:1h", "에너지(J) · joules"),),
        ),
    ),
)  # fmt: skip
_REFUSED = Row(
    Words("거절과 한도", "Refusals and quotas"),
    (
        Panel(
            Words("거절된 이유", "Why requests were refused"),
            Words(
                "초당 거절을 이유별로. rate_limit_exceeded는 앱의 한도, engine_busy는 줄이 가득 찬 것, 5xx에 속하는 것은 서버의 문제입니다.",
                "Refusals a second by reason. rate_limit_exceeded is the app's own limit, engine_busy a full queue.",
            ),
            "reqps",
            (Query("appliance:refusals:rate5m", "{{reason}}"),),
            "areas",
            Words(
                "invalid_api_key가 이어지면 누가 키를 맞혀 보는 것일 수 있습니다. 감사 기록(docs/audit.md)에서 어디서 왔는지 봅니다.",
                "If invalid_api_key goes on, somebody may be guessing keys: the audit (docs/audit.md) has where from.",
            ),
            width=12,
        ),
        Panel(
            Words("앱별 한도 초과", "Over their limit, by app"),
            Words("초당 429를 받은 요청. 한도는 `appliance keys list`에 있습니다.", "Requests a second that got 429. Limits are in `appliance keys list`."),
            "reqps",
            (Query(f'sum by (app) (rate(appliance_requests_total{{{_APP},code="429"}}[5m]))', "{{app}}"),),
            red=Words("정당한 사용이면 docs/operations.md의 G대로 한도를 올립니다(`sudo appliance keys change`).", "If the use is legitimate, raise the limit as G in docs/operations.md says (`sudo appliance keys change`)."),
            steps=(Step(1, AMBER), Step(10, RED)),
            width=12,
        ),
        Panel(
            Words("응답 코드", "Answers by status"),
            Words("초당 응답을 HTTP 코드별로. 2xx는 성공, 4xx는 앱의 잘못, 5xx는 서버의 잘못.", "Answers a second by HTTP status: 2xx worked, 4xx is the app's fault, 5xx ours."),
            "reqps",
            (Query(f"sum by (code) (rate(appliance_requests_total{{{_APP}}}[5m]))", "{{code}}"),),
            "areas",
        ),
        Panel(
            Words("서버 탓 실패 비율", "Failures by our fault"),
            Words("최근 5분 요청 가운데 5xx의 비율.", "Share of 5xx in the last five minutes."),
            "percentunit",
            (Query("appliance:request_errors:ratio5m", "5xx"),),
            red=Words("한눈에 보기의 'AI 엔진'부터 봅니다.", "Begin with 'AI engine' on the Overview."),
            steps=(Step(0.01, AMBER), Step(0.05, RED)),
        ),
        Panel(
            Words("캐시로 아낀 입력", "Input saved by the cache"),
            Words("입력 토큰 가운데 다시 읽지 않아도 된 비율. 앱이 같은 머리말을 쓰면 높습니다.", "Share of input tokens that needed no reading again; high where apps use the same preamble."),
            "percentunit",
            (
                Query("appliance:cached_tokens:rate5m / (appliance:input_tokens:rate5m > 0)", "아낌 · saved"),
            ),
            largest=1,
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "apps",
    Words("앱과 한도", "Apps and quotas"),
    Words("누가 얼마나 쓰고, 얼마가 들고, 무엇이 거절되었는가.", "Who uses how much, what it costs, what was refused."),
    (_USE, _COST, _REFUSED),
    since="now-24h",
    choices=(("app", "appliance_requests_total"),),
)
