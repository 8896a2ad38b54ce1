"""The proof that nothing left: closed ways out, planted markers, the audit, backups and certificates."""

from __future__ import annotations

from deploy.grafana.board import AMBER, BLUE, GREEN, RED, Board, Column, Panel, Query, Row, Step, Words
from deploy.grafana.lights import first_of, light, states, upkeep_is_stale

_NOT_YET = Words("아직 확인 안 됨", "not checked yet")
_STALE = Words("확인이 멈춤", "checks stopped")

_LEAVING = Row(
    Words("나간 것이 있는가?", "Has anything left?"),
    (
        light(
            Words("방화벽 규칙", "Firewall rules"),
            Words("커널에 실린 규칙이 설정이 말하는 것과 글자 하나까지 같은지.", "Whether the rules in the kernel are exactly those that the settings give."),
            Words("`sudo systemctl reload nftables`로 다시 싣고, 누가 바꾸었는지 알아봅니다.", "Load them again with `sudo systemctl reload nftables`, and find out who changed them."),
            states(Words("실려 있음", "loaded"), Words("다름", "differ"), care=_STALE, unknown=_NOT_YET),
            first_of("min(appliance_egress_rules_loaded) == 0", upkeep_is_stale(), "min(appliance_egress_rules_loaded)"),
        ),
        light(
            Words("개인정보 시험", "Privacy test"),
            Words(
                "매일 밤 시험 문장을 질문에 넣어 보내고, 파일, 로그, 프로세스 어디에도 남지 않았는지 찾습니다.",
                "Every night planted sentences are sent as questions and then looked for in files, in logs and in what processes show.",
            ),
            Words("`sudo journalctl -u appliance-privacy-test`의 마지막 줄이 어디서 찾았는지 말합니다.", "The last lines of `sudo journalctl -u appliance-privacy-test` say where."),
            states(Words("통과", "passed"), Words("실패", "failed"), care=_STALE, unknown=_NOT_YET),
            first_of("min(appliance_privacy_test_passed) == 0", upkeep_is_stale(), "min(appliance_privacy_test_passed)"),
        ),
        light(
            Words("감사 기록의 사슬", "Chain of the audit"),
            Words("기록마다 앞 기록의 지문이 들어 있습니다. 하나라도 고치거나 지우면 사슬이 끊어집니다.", "Every record holds the digest of the one before: a changed or missing one breaks the chain."),
            Words("아무것도 지우지 말고 `appliance report --verify-audit`의 출력을 보관하고 책임자에게 알립니다.", "Delete nothing, keep what `appliance report --verify-audit` prints, tell the person in charge."),
            states(Words("이어짐", "unbroken"), Words("끊어짐", "broken"), care=_STALE, unknown=_NOT_YET),
            first_of("min(appliance_audit_intact) == 0", upkeep_is_stale(), "min(appliance_audit_intact)"),
        ),
        Panel(
            Words("발견된 시험 문장", "Planted sentences found"),
            Words("마지막 시험에서 시험 문장을 찾은 곳의 수. 0이어야 합니다.", "Places in which the last test found one. Has to be 0."),
            "short",
            (Query("max(appliance_privacy_test_canaries_found)", "찾은 곳 · places"),),
            "number",
            Words("네트워크 선을 뽑고 책임자에게 알립니다.", "Pull the network cable and tell the person in charge."),
            steps=(Step(1, RED),), width=4, height=4, decimals=0,
        ),
        Panel(
            Words("막은 시도(고른 시간)", "Attempts stopped"),
            Words("고른 시간 동안 나가려다 막힌 묶음의 수. 보통 0입니다.", "Packets that tried to leave in the chosen time and were stopped. Usually 0."),
            "short",
            (Query("sum(increase(appliance_egress_dropped_packets_total[$__range]))", "묶음 · packets"),),
            "number",
            Words("아래 '막은 묶음, 어디서'를 봅니다. 막혔으므로 나간 것은 없습니다.", "See 'Packets stopped, by source' below. They were stopped, so nothing left."),
            steps=(Step(1, AMBER), Step(1000, RED)), width=4, height=4, decimals=0,
        ),
        Panel(
            Words("마지막 개인정보 시험", "Last privacy test"),
            Words("얼마나 전에 했는지.", "How long ago."),
            "s",
            (Query("max(time() - appliance_privacy_test_timestamp_seconds)", "전 · ago"),),
            "number",
            Words("`systemctl list-timers appliance-privacy-test`를 봅니다.", "See `systemctl list-timers appliance-privacy-test`."),
            steps=(Step(36 * 3600, AMBER), Step(7 * 86400, RED)), width=4, height=4,
        ),
    ),
)  # fmt: skip
_WIRE = Row(
    Words("나가려다 막힌 것", "What tried to leave and was stopped"),
    (
        Panel(
            Words("막은 묶음, 어디서", "Packets stopped, by source"),
            Words(
                "engine은 모델을 돌리는 프로세스, gateway는 앱이 붙는 곳, exporter는 GPU 측정기, other는 나머지(운영체제의 갱신 확인 등).",
                "engine runs the model, gateway is where apps connect, exporter measures the GPU, other is the rest (such as "
                "the operating system asking for updates).",
            ),
            "pps",
            (Query("sum by (source) (rate(appliance_egress_dropped_packets_total[5m]))", "{{source}}"),),
            red=Words(
                "engine이나 gateway가 0이 아니면 모델 묶음을 되돌리고(`appliance bundle rollback`) 공급사에 알립니다.",
                "If engine or gateway is not 0, go back to the bundle before (`appliance bundle rollback`) and tell the supplier.",
            ),
            steps=(Step(0.01, AMBER),), width=12,
        ),
        Panel(
            Words("막은 양, 어디서", "Bytes stopped, by source"),
            Words("막은 묶음의 크기.", "Size of what was stopped."),
            "Bps",
            (Query("sum by (source) (rate(appliance_egress_dropped_bytes_total[5m]))", "{{source}}"),),
            width=12,
        ),
    ),
)  # fmt: skip
_RECORDS = Row(
    Words("기록과 백업", "Records and backups"),
    (
        Panel(
            Words("기록의 수", "Records in the audit"),
            Words("감사 기록의 줄 수. 줄어들면 보관 기간이 지난 것이 지워진 것입니다.", "Lines of the audit. It falls when old ones reach the end of their time."),
            "short",
            (Query("max(appliance_audit_records)", "기록 · records"),),
            width=6,
        ),
        Panel(
            Words("마지막 사슬 검사", "Last check of the chain"),
            Words("얼마나 전에 처음부터 끝까지 확인했는지.", "How long ago all of it was verified."),
            "s",
            (Query("max(time() - appliance_audit_verified_timestamp_seconds)", "전 · ago"),),
            red=Words("`systemctl list-timers appliance-upkeep`를 봅니다.", "See `systemctl list-timers appliance-upkeep`."),
            steps=(Step(2 * 86400, AMBER), Step(8 * 86400, RED)), width=6,
        ),
        Panel(
            Words("마지막 백업", "Last backup"),
            Words("얼마나 전에 성공했는지.", "How long ago one succeeded."),
            "s",
            (Query("max(time() - appliance_backup_last_success_timestamp_seconds)", "전 · ago"),),
            red=Words("백업 디스크를 꽂고 `sudo systemctl start appliance-backup`.", "Plug in the backup disk, then `sudo systemctl start appliance-backup`."),
            steps=(Step(36 * 3600, AMBER), Step(7 * 86400, RED)), width=6,
        ),
        Panel(
            Words("백업의 크기", "Size of the backup"),
            Words("갑자기 작아지면 빠진 것이 있습니다.", "If it suddenly shrinks, something is missing."),
            "bytes",
            (Query("max(appliance_backup_size_bytes)", "크기 · size"),),
            width=6,
        ),
        Panel(
            Words("기록을 쓸 수 있는가", "Can records be written?"),
            Words("1이면 감사 기록과 키 데이터베이스를 쓸 수 있습니다.", "1: audit and key database can be used."),
            "short",
            (
                Query("min(appliance_audit_writable)", "감사 기록 · audit"),
                Query("min(appliance_key_database_readable)", "키 데이터베이스 · keys"),
            ),
            red=Words("디스크가 가득 찼거나 읽기 전용이 된 것입니다.", "The disk is full or has become read-only."),
            base=RED, steps=(Step(1, GREEN),), width=8, largest=1,
        ),
        Panel(
            Words("기록 확정", "Commits of the audit"),
            Words("초당 디스크에 확정한 횟수. 요청이 있는데 0이면 기록되지 않는 것입니다.", "Transactions a second. 0 while there are requests means that nothing is recorded."),
            "wps",
            (Query("sum(rate(appliance_audit_commits_total[5m]))", "확정 · commits"),),
            width=8,
        ),
        Panel(
            Words("데이터베이스에 없는 키", "Keys lost"),
            Words("메모리에서만 쓰이고 데이터베이스에는 없는 키의 수.", "Keys that work from memory and that the database has no more."),
            "short",
            (Query("max(appliance_keys_lost)", "키 · keys"),),
            red=Words("게이트웨이를 다시 시작하지 말고 docs/operations.md의 `KeysLost`를 따릅니다.", "Do not restart the gateway; follow `KeysLost` in docs/operations.md."),
            steps=(Step(1, RED),), width=8,
        ),
    ),
)  # fmt: skip
_CHECKS = Row(
    Words("인증서와 점검", "Certificates and checks"),
    (
        Panel(
            Words("인증서가 끝나기까지", "Days left of the certificates"),
            Words("server는 앱이 보는 인증서, ca는 그것을 발급한 것.", "server is what apps see, ca what issued it."),
            "d",
            (Query("(appliance_certificate_expiry_timestamp_seconds - time()) / 86400", "{{certificate}}"),),
            "number",
            Words("끝나면 앱이 연결하지 못합니다. 설치 키트의 `install`을 같은 인벤토리로 다시 실행합니다(docs/operations.md의 F).", "When it ends no app can connect. Run the kit's `install` again with the same inventory (F in docs/operations.md)."),
            base=RED, steps=(Step(7, AMBER), Step(30, GREEN)), decimals=0,
        ),
        Panel(
            Words("점검 결과", "Checks"),
            Words("점검마다 끝까지 해냈는지. 점검한 것이 좋은지는 다른 칸이 말합니다.", "Whether each check could be done. What it found is in the other panels."),
            "none",
            (Query("appliance_upkeep_check_success", "{{check}}"),),
            "table",
            Words("`journalctl -u appliance-upkeep`를 봅니다.", "See `journalctl -u appliance-upkeep`."),
            columns=(
                Column("check", Words("점검", "Check"), texts=(
                    ("audit", "감사 기록 · audit", ""),
                    ("backup", "백업 · backup", ""),
                    ("certificate", "인증서 · certificate", ""),
                    ("egress", "방화벽 · egress", ""),
                    ("privacy_test", "개인정보 시험 · privacy test", ""),
                )),
                Column("Value", Words("결과", "Result"), texts=(("1", "함 · done", GREEN), ("0", "못 함 · failed", RED)), width=160),
            ),
        ),
        Panel(
            Words("마지막 점검", "Last upkeep"),
            Words("이 화면의 숫자가 얼마나 오래된 것인지.", "How old the figures on this page are."),
            "s",
            (Query("max(time() - appliance_upkeep_timestamp_seconds)", "전 · ago"),),
            "number",
            Words("`systemctl list-timers appliance-upkeep`를 봅니다.", "See `systemctl list-timers appliance-upkeep`."),
            base=BLUE, steps=(Step(7200, AMBER), Step(86400, RED)),
        ),
    ),
)  # fmt: skip

BOARD = Board(
    "privacy",
    Words("개인정보", "Privacy"),
    Words(
        "아무것도 나가지 않았다는 증거. 감사를 받을 때 이 화면부터 봅니다.",
        "The proof that nothing left. An auditor begins here.",
    ),
    (_LEAVING, _WIRE, _RECORDS, _CHECKS),
    since="now-7d",
)
