"""How long people wait, and where the time goes."""

from __future__ import annotations

from deploy.grafana.board import AMBER, RED, Board, Panel, Query, Row, Step, Words

_CLASS = "(수업 중은 interactive, 밤에 몰아서 하는 것은 batch)"
_CLASS_EN = "(interactive: somebody waits; batch: nobody does)"


def _percentiles(name: str, *percents: int, legend: str = "{{class}}") -> tuple[Query, ...]:
    """Recording rules of one histogram, five minutes each."""
    return tuple(Query(f"appliance:{name}:p{percent}_5m", f"p{percent} {legend}".strip()) for percent in percents)


def _mean(metric: str) -> str:
    return f"sum(rate({metric}_sum[5m])) / (sum(rate({metric}_count[5m])) > 0)"


_WAIT = Row(
    Words("사람이 느끼는 시간", "What people feel"),
    (
        Panel(
            Words("첫 글자까지 걸린 시간", "Time to first token"),
            Words(
                f"질문을 보내고 첫 글자가 올 때까지. p95는 100개 가운데 95개가 이보다 빨랐다는 뜻입니다 {_CLASS}.",
                f"From the question to the first piece of its answer. p95: 95 of 100 were faster {_CLASS_EN}.",
            ),
            "s",
            _percentiles("time_to_first_token_seconds", 50, 95, 99),
            red=Words(
                "아래 '시간이 어디로 가는가'에서 대기가 크면 요청이 몰린 것이고, 엔진이 크면 질문이 길거나 GPU가 느려진 것입니다.",
                "If 'Where the time goes' shows waiting, too much was asked at once; if it shows the engine, questions are "
                "long or the GPU is slowed down (GPU dashboard).",
            ),
            steps=(Step(2, AMBER), Step(5, RED)),
            width=12,
        ),
        Panel(
            Words("글자 사이의 시간", "Time between tokens"),
            Words(
                "답이 흘러나오는 빠르기. 0.05초면 읽는 것보다 빠릅니다.",
                "How fast an answer flows. 0.05 s is faster than anybody reads.",
            ),
            "s",
            _percentiles("time_between_tokens_seconds", 50, 95, 99),
            red=Words(
                "동시에 만드는 답이 많거나 GPU가 느려진 것입니다. GPU 화면의 '느려진 이유'를 봅니다.",
                "Many answers at once, or a GPU that is slowed down: see 'Why it was slowed down' on the GPU dashboard.",
            ),
            steps=(Step(0.1, AMBER), Step(0.25, RED)),
            width=12,
        ),
        Panel(
            Words("답 전체에 걸린 시간", "Whole answers"),
            Words("질문에서 마지막 글자까지. 긴 답은 당연히 오래 걸립니다.", "From the question to the last piece. Long answers take long."),
            "s",
            _percentiles("request_seconds", 50, 95),
            red=Words("첫 글자까지와 같습니다.", "As for the time to first token."),
            width=12,
        ),
        Panel(
            Words("목표 안에 든 비율", "Share within the objective"),
            Words(
                "첫 글자가 2초 안에 온 수업 중 요청의 비율(최근 5분).",
                "Share of interactive requests whose first token came within 2 s (last five minutes).",
            ),
            "percentunit",
            (Query("1 - appliance:first_token_slow:ratio5m", "2 s"),),
            red=Words("첫 글자까지와 같습니다.", "As for the time to first token."),
            base=RED, steps=(Step(0.9, AMBER), Step(0.95, "green")), width=12, largest=1,
        ),
    ),
)  # fmt: skip

_WHERE = Row(
    Words("시간이 어디로 가는가", "Where the time goes"),
    (
        Panel(
            Words("한 요청의 평균 시간", "Mean time of a request"),
            Words("한 요청이 기다림, 엔진, 게이트웨이에서 보낸 시간.", "What a request spends waiting, in the engine and in the gateway."),
            "s",
            (
                Query(_mean("appliance_queue_seconds"), "대기 · queue"),
                Query(_mean("appliance_engine_seconds"), "엔진 · engine"),
                Query(_mean("appliance_gateway_seconds"), "게이트웨이 · gateway"),
            ),
            "areas",
            width=12,
        ),
        Panel(
            Words("기다린 시간", "Time in the queue"),
            Words(f"엔진에 자리가 날 때까지 기다린 시간 {_CLASS}.", f"Wait for a place in the engine {_CLASS_EN}."),
            "s",
            _percentiles("queue_seconds", 50, 95),
            red=Words(
                "앱 화면에서 누가 많이 보내는지 보고, 급하지 않은 앱의 키를 batch로 바꿉니다.",
                "See on the Apps dashboard who sends so much, and give apps that can wait a batch key.",
            ),
            steps=(Step(1, AMBER), Step(10, RED)),
            width=12,
        ),
        Panel(
            Words("엔진에서 보낸 시간", "Time in the engine"),
            Words("엔진이 받아서 마지막 글자를 낼 때까지.", "From handing a request to the engine to its last byte."),
            "s",
            _percentiles("engine_seconds", 50, 95),
            red=Words("엔진 화면을 봅니다.", "See the Engine dashboard."),
            width=12,
        ),
        Panel(
            Words("게이트웨이가 더한 시간", "Added by the gateway"),
            Words("키 확인, 기록, 개인정보 규칙에 든 시간. 보통 1밀리초보다 짧습니다.", "Keys, records and privacy rules. Usually under a millisecond."),
            "s",
            _percentiles("gateway_seconds", 50, 99, legend=""),
            red=Words(
                "서버의 프로세서나 디스크가 바쁜 것입니다. 한눈에 보기의 '서버'를 봅니다.",
                "The server's processor or disk is busy: see 'The server' on the Overview.",
            ),
            steps=(Step(0.003, AMBER), Step(0.025, RED)),
            width=12,
        ),
    ),
)  # fmt: skip

_LOAD = Row(
    Words("얼마나 몰리는가", "How busy it is"),
    (
        Panel(
            Words("기다리는 요청", "Requests waiting"),
            Words("지금 줄 서 있는 요청의 수와 한도. 한도를 넘으면 429로 돌려보냅니다.", "Requests in line and how many may be. Beyond that apps get 429."),
            "short",
            (
                Query("sum by (class) (appliance_queue_depth)", "{{class}}"),
                Query("max(appliance_queue_limit)", "한도 · limit"),
            ),
            red=Words("기다린 시간과 같습니다.", "As for the time in the queue."),
        ),
        Panel(
            Words("만들고 있는 답", "Answers being made"),
            Words("엔진의 자리 가운데 쓰고 있는 수.", "Places in the engine that are taken."),
            "short",
            (
                Query("max(appliance_engine_slots_used)", "사용 · used"),
                Query("max(appliance_engine_slots)", "전체 · all"),
                Query("max(appliance_streams_open)", "흘러나오는 답 · streams"),
            ),
        ),
        Panel(
            Words("중간에 떠난 요청", "Cancelled requests"),
            Words("답이 끝나기 전에 앱이 끊은 요청(초당). 많으면 기다리다 지친 것입니다.", "Requests whose app left before the end, a second. Many of them: people got tired of waiting."),
            "reqps",
            (Query("sum by (route) (rate(appliance_cancelled_total[5m]))", "{{route}}"),),
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "latency",
    Words("지연 시간", "Latency"),
    Words("얼마나 빨리 답하는가, 느리면 어디에서.", "How fast answers come, and where the time goes when they do not."),
    (_WAIT, _WHERE, _LOAD),
)
