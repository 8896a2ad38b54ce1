"""vLLM's own figures (``vllm:*``), for whoever looks for the reason of a slow or refused answer."""

from __future__ import annotations

from deploy.grafana.board import AMBER, GREEN, RED, Board, Panel, Query, Row, Step, Words


def _percentiles(metric: str, *percents: int) -> tuple[Query, ...]:
    return tuple(
        Query(
            f"histogram_quantile({percent / 100:g}, sum by (le) (rate(vllm:{metric}_bucket[5m]))) "
            f"and on () sum(rate(vllm:{metric}_count[5m])) > 0",
            f"p{percent}",
        )
        for percent in percents
    )


_WORK = Row(
    Words("하는 일", "Its work"),
    (
        Panel(
            Words("요청", "Requests inside"),
            Words("엔진 안에서 만들고 있는 답과 기다리는 요청. 기다림은 보통 게이트웨이에 있고 여기서는 0입니다.", "Answers being made, and requests waiting inside the engine: usually 0, since the gateway holds the line."),
            "short",
            (
                Query("sum(vllm:num_requests_running)", "만드는 중 · running"),
                Query("sum(vllm:num_requests_waiting)", "기다림 · waiting"),
            ),
        ),
        Panel(
            Words("만드는 빠르기", "Tokens a second"),
            Words("초당 만든 토큰과 읽은 토큰.", "Tokens made and tokens read a second."),
            "suffix: tok/s",
            (
                Query("sum(rate(vllm:generation_tokens_total[$__rate_interval]))", "출력 · output"),
                Query("sum(rate(vllm:prompt_tokens_total[$__rate_interval]))", "입력 · input"),
            ),
        ),
        Panel(
            Words("끝난 이유", "How answers ended"),
            Words("초당 끝난 답. stop은 스스로 끝남, length는 길이 제한, abort는 앱이 떠남, error는 엔진의 잘못.", "Answers a second. stop: by itself; length: cut at its limit; abort: the app left; error: the engine's fault."),
            "reqps",
            (Query("sum by (finished_reason) (rate(vllm:request_success_total[5m]))", "{{finished_reason}}"),),
            "areas",
            Words("length가 많으면 앱이 `max_tokens`를 너무 작게 보내는 것입니다.", "Many with length: apps ask for too few `max_tokens`."),
        ),
    ),
)  # fmt: skip
_MEMORY = Row(
    Words("대화를 위한 메모리", "Memory for conversations"),
    (
        Panel(
            Words("대화 메모리 사용", "KV cache in use"),
            Words("만들고 있는 답들이 쓰는 메모리의 비율. 가득 차면 엔진이 답 하나를 멈추고 나중에 다시 만듭니다.", "Share that answers in progress hold. When it is full, the engine puts one back and makes it again later."),
            "percentunit",
            (Query("max(vllm:kv_cache_usage_perc)", "사용 · used"),),
            red=Words("동시에 긴 질문이 많은 것입니다. `gateway.max_running_requests`를 줄이거나 질문을 줄입니다.", "Many long questions at once: lower `gateway.max_running_requests`, or shorten the questions."),
            steps=(Step(0.85, AMBER), Step(0.95, RED)), largest=1,
        ),
        Panel(
            Words("다시 만든 답", "Preemptions"),
            Words("메모리가 모자라 멈췄다가 다시 만든 답(분당). 0이어야 합니다.", "Answers put back for want of memory, a minute. Should be 0."),
            "cpm",
            (Query("60 * sum(rate(vllm:num_preemptions_total[5m]))", "분당 · a minute"),),
            red=Words("대화 메모리 사용과 같습니다.", "As for the KV cache."),
            steps=(Step(1, AMBER), Step(10, RED)),
        ),
        Panel(
            Words("머리말 캐시 적중", "Prefix cache hits"),
            Words("입력 가운데 이미 읽어 둔 것의 비율. 앱들이 같은 머리말로 시작하면 높습니다.", "Share of the input that had been read before; high where questions begin alike."),
            "percentunit",
            (Query("appliance:prefix_cache_hits:ratio5m", "적중 · hits"),),
            largest=1,
        ),
    ),
)  # fmt: skip
_TIMES = Row(
    Words("엔진이 잰 시간", "Times as the engine takes them"),
    (
        Panel(
            Words("첫 토큰까지", "Time to first token"),
            Words("엔진이 받은 뒤 첫 토큰까지(게이트웨이의 기다림 제외).", "From its arrival in the engine; the gateway's queue is not in it."),
            "s",
            _percentiles("time_to_first_token_seconds", 50, 95),
            red=Words("질문이 길거나 엔진 안의 기다림이 있는 것입니다.", "Long questions, or a wait inside the engine."),
            steps=(Step(2, AMBER), Step(5, RED)),
        ),
        Panel(
            Words("토큰 사이", "Between tokens"),
            Words("토큰 하나를 만드는 데 든 시간.", "Time that one token takes."),
            "s",
            _percentiles("inter_token_latency_seconds", 50, 95),
            red=Words("GPU 화면의 '느려진 이유'를 봅니다.", "See 'Why it was slowed down' on the GPU dashboard."),
            steps=(Step(0.1, AMBER), Step(0.25, RED)),
        ),
        Panel(
            Words("단계별 시간", "Time by stage"),
            Words("한 요청이 엔진 안의 줄, 읽기(prefill), 만들기(decode)에서 보낸 평균.", "Mean time of a request in the engine's queue, reading (prefill) and making (decode)."),
            "s",
            tuple(
                Query(f"sum(rate(vllm:request_{stage}_time_seconds_sum[5m])) / (sum(rate(vllm:request_{stage}_time_seconds_count[5m])) > 0)", legend)
                for stage, legend in (("queue", "줄 · queue"), ("prefill", "읽기 · prefill"), ("decode", "만들기 · decode"))
            ),
            "areas",
        ),
    ),
)  # fmt: skip
_SHAPE = Row(
    Words("질문과 답의 모양", "What questions and answers look like"),
    (
        Panel(
            Words("질문의 길이", "Length of questions"),
            Words("요청 하나의 입력 토큰.", "Input tokens of a request."),
            "short",
            _percentiles("request_prompt_tokens", 50, 95),
        ),
        Panel(
            Words("답의 길이", "Length of answers"),
            Words("요청 하나의 출력 토큰.", "Output tokens of a request."),
            "short",
            _percentiles("request_generation_tokens", 50, 95),
        ),
        Panel(
            Words("한 걸음의 크기", "Size of a step"),
            Words("엔진의 한 걸음에 함께 처리한 토큰. 클수록 카드를 잘 쓰는 것입니다.", "Tokens handled together in a step; the more, the better the card is used."),
            "short",
            _percentiles("iteration_tokens_total", 50, 95),
        ),
        Panel(
            Words("엔진의 숫자를 읽을 수 있는가", "Can its figures be read?"),
            Words("1이면 읽었습니다. 0이면 엔진이 없거나 시작하는 중입니다.", "1: read. 0: the engine is away or starting."),
            "short",
            (Query('up{job="engine"}', "engine"),),
            red=Words("한눈에 보기의 'AI 엔진'을 봅니다.", "See 'AI engine' on the Overview."),
            base=RED, steps=(Step(1, GREEN),), largest=1, width=12,
        ),
        Panel(
            Words("게이트웨이의 메모리", "The gateway's memory"),
            Words("게이트웨이 프로세스가 쥔 주 메모리. 150 MiB 안팎이 정상입니다.", "Main memory of the gateway's process; about 150 MiB is normal."),
            "bytes",
            (Query('process_resident_memory_bytes{job="gateway"}', "gateway"),),
            red=Words("계속 늘면 기록을 보관하고 공급사에 알립니다.", "If it keeps rising, keep the log and tell the supplier."),
            steps=(Step(300 * 1024 * 1024, AMBER),), width=12,
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "engine",
    Words("엔진", "Engine"),
    Words(
        "vLLM 자신이 세는 것. 느린 까닭을 찾는 사람이 봅니다.",
        "What vLLM counts itself, for who looks for the reason of something slow.",
    ),
    (_WORK, _MEMORY, _TIMES, _SHAPE),
)
