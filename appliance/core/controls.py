"""The controls of the appliance, each with its check's key, its proof and what it is evidence for.

The mapping says which evidence speaks to which requirement; it is no legal
advice; ``core.standards`` has the requirements. Ids of vulnerabilities: vLLM's,
Starlette's and PyTorch's advisories.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from appliance.core.upkeep import Text

DISCLAIMER = Text(
    "This is a mapping of technical evidence to requirements, not legal advice.",
    "이 문서는 기술적 증거와 요구사항의 연결표이며 법률 자문이 아닙니다.",
)


class Group(StrEnum):
    """Where a control stands in the report."""

    EGRESS = "egress"
    ENGINE = "engine"
    REQUESTS = "requests"
    ACCESS = "access"
    RECORDS = "records"
    SUPPLY = "supply"
    HOST = "host"


GROUPS: Mapping[Group, Text] = {
    Group.EGRESS: Text("Nothing leaves the building", "외부 전송 없음"),
    Group.ENGINE: Text("The engine is confined", "추론 엔진의 격리"),
    Group.REQUESTS: Text("What a request may ask", "요청의 제한"),
    Group.ACCESS: Text("Who has access", "접근 통제"),
    Group.RECORDS: Text("What is recorded and kept", "기록과 보존"),
    Group.SUPPLY: Text("What is installed", "설치된 구성요소"),
    Group.HOST: Text("The host", "서버"),
}


@dataclass(frozen=True)
class Control:
    """One control.

    Attributes:
        key: its fixed name, ``subject.property``.
        group: its place in the report.
        title: what holds while it passes.
        proof: the command or file that shows it.
        threats: advisories that it answers.
        pipa: articles of PIPA, or of the safety-measures standard where an item begins with ``S``.
        ismsp: ISMS-P items.
        iso: ISO/IEC 27001:2022 Annex A items.
    """

    key: str
    group: Group
    title: Text
    proof: str
    threats: tuple[str, ...] = ()
    pipa: tuple[str, ...] = ()
    ismsp: tuple[str, ...] = ()
    iso: tuple[str, ...] = ()

    def speaks_to(self, standard: str) -> tuple[str, ...]:
        """Its items of one of ``core.standards.STANDARDS``."""
        return {"PIPA": self.pipa, "ISMS-P": self.ismsp}.get(standard, self.iso)


_EGRESS = (
    Control(
        "egress.rules", Group.EGRESS,
        Text("The loaded packet filter is the one made from the settings", "적용된 방화벽 규칙이 설정에서 만든 규칙과 같음"),
        "nft -s -u list table inet appliance",
        pipa=("28-8", "29"), ismsp=("2.6.1", "2.6.7", "2.10.5"), iso=("5.23", "8.12", "8.20", "8.22"),
    ),
    Control(
        "egress.engine_silent", Group.EGRESS,
        Text("The engine's user tried to send nothing", "추론 엔진 사용자가 외부 전송을 시도하지 않음"),
        "nft -j list counters table inet appliance",
        pipa=("28-8", "29"), ismsp=("2.6.7", "2.11.3"), iso=("8.12", "8.16"),
    ),
    Control(
        "egress.privacy_test", Group.EGRESS,
        Text("The last privacy test found no planted word", "최근 개인정보 시험에서 시험용 단어가 발견되지 않음"),
        "appliance privacy-test; <state_dir>/upkeep/privacy-test.json",
        pipa=("22-2", "29"), ismsp=("2.8.4", "2.9.7", "2.11.3"), iso=("5.34", "7.14", "8.10", "8.11", "8.12"),
    ),
)  # fmt: skip
_ENGINE = (
    Control(
        "engine.network", Group.ENGINE,
        Text("The engine's network has loopback and nothing else", "추론 엔진의 네트워크에는 loopback만 있음"),
        "readlink /proc/<engine>/ns/net; cat /proc/<engine>/net/dev",
        ("CVE-2026-24779", "CVE-2026-34753"),
        pipa=("28-8", "29"), ismsp=("2.6.1", "2.6.7"), iso=("8.12", "8.20", "8.22"),
    ),
    Control(
        "engine.socket", Group.ENGINE,
        Text("The engine listens on a Unix socket only", "추론 엔진은 Unix 소켓에서만 응답함"),
        "appliance engine --print-command; stat <socket>",
        ("vLLM security guide: routes without a key",),
        pipa=("29",), ismsp=("2.6.2", "2.6.3"), iso=("8.3", "8.20", "8.21"),
    ),
    Control(
        "engine.serialization", Group.ENGINE,
        Text("No pickle is taken from a network", "네트워크를 통한 pickle 역직렬화 없음"),
        "appliance engine --print-command",
        ("CVE-2025-32444", "CVE-2025-29783", "CVE-2025-30165", "CVE-2025-30202"),
        pipa=("29",), ismsp=("2.10.9", "2.11.2"), iso=("8.7", "8.28"),
    ),
    Control(
        "engine.code", Group.ENGINE,
        Text("Weights are safetensors, and no code of a model runs", "safetensors만 사용하고 모델의 코드는 실행하지 않음"),
        "appliance engine --print-command",
        ("CVE-2026-22807", "CVE-2026-27893", "CVE-2025-32434", "CVE-2026-24747"),
        pipa=("29",), ismsp=("2.10.9", "2.11.2"), iso=("8.7", "8.28"),
    ),
    Control(
        "engine.grammar", Group.ENGINE,
        Text("One known grammar backend", "문법 처리기는 검증된 하나만 사용"),
        "appliance engine --print-command",
        ("CVE-2025-29770", "CVE-2025-32381", "CVE-2026-105757"),
        pipa=("29",), ismsp=("2.11.2",), iso=("8.8", "8.28"),
    ),
    Control(
        "engine.template", Group.ENGINE,
        Text("Prompts are formed by the bundle's template alone", "프롬프트 형식은 번들의 템플릿만 사용"),
        "appliance engine --print-command",
        ("CVE-2025-62426", "CVE-2026-115911"),
        pipa=("29",), ismsp=("2.11.2",), iso=("8.8", "8.28"),
    ),
    Control(
        "engine.caps", Group.ENGINE,
        Text("The engine caps sequences and prompts itself", "추론 엔진 자체의 요청량 제한"),
        "appliance engine --print-command",
        ("CVE-2026-34756",),
        pipa=("29",), ismsp=("2.9.2", "2.11.2"), iso=("8.28",),
    ),
    Control(
        "engine.prefix_hash", Group.ENGINE,
        Text("Cached prompts are told apart by SHA-256", "캐시된 프롬프트는 SHA-256으로 구분"),
        "appliance engine --print-command",
        ("CVE-2025-46570", "CVE-2025-46722"),
        pipa=("29",), ismsp=("2.6.3", "2.7.1"), iso=("8.3", "8.24"),
    ),
    Control(
        "engine.offline", Group.ENGINE,
        Text("Statistics, telemetry and hub look-ups are off", "사용 통계·원격 측정·허브 조회 꺼짐"),
        "appliance engine --print-command; /proc/<engine>/environ",
        pipa=("28-8", "29"), ismsp=("2.6.7",), iso=("5.23", "8.12"),
    ),
    Control(
        "engine.no_content_logged", Group.ENGINE,
        Text("The engine logs no request and has no debug routes", "추론 엔진은 요청 내용을 기록하지 않고 디버그 경로가 없음"),
        "appliance engine --print-command; /proc/<engine>/cmdline",
        pipa=("22-2", "29"), ismsp=("2.9.4",), iso=("5.34", "8.11", "8.15"),
    ),
)  # fmt: skip
_REQUESTS = (
    Control(
        "request.text_only", Group.REQUESTS,
        Text("A request holds text only: no address that could be fetched", "요청은 텍스트만 포함: 가져올 수 있는 주소 없음"),
        "appliance report --evidence (asks the gateway's own parser)",
        ("CVE-2026-24779", "CVE-2026-34753"),
        pipa=("29",), ismsp=("2.11.2",), iso=("8.21", "8.28"),
    ),
    Control(
        "request.identifier", Group.REQUESTS,
        Text("Request ids are made here, never taken from a client", "요청 식별자는 서버가 생성"),
        "appliance report --evidence (sends a request through the gateway's outermost layer)",
        ("CVE-2026-116176",),
        pipa=("29",), ismsp=("2.9.4",), iso=("8.15", "8.28"),
    ),
    Control(
        "request.routes", Group.REQUESTS,
        Text("Only the listed routes exist", "허용된 경로만 존재"),
        "appliance openapi",
        ("CVE-2026-48746",),
        pipa=("29",), ismsp=("2.6.2", "2.6.3"), iso=("8.3", "8.21"),
    ),
    Control(
        "request.hosts", Group.REQUESTS,
        Text("The gateway answers to the host names of an allowlist", "허용된 호스트 이름에만 응답"),
        "appliance settings (gateway.allowed_hosts)",
        ("CVE-2026-48710",),
        pipa=("29",), ismsp=("2.6.1",), iso=("8.20", "8.21"),
    ),
    Control(
        "request.grammar", Group.REQUESTS,
        Text("No client brings a grammar or an unbounded schema", "클라이언트 문법과 무제한 스키마 거부"),
        "appliance report --evidence (asks the gateway's own parser)",
        ("CVE-2025-29770", "CVE-2025-48942", "CVE-2025-48943", "GHSA-vrq3-r879-7m65"),
        pipa=("29",), ismsp=("2.11.2",), iso=("8.8", "8.28"),
    ),
    Control(
        "request.template", Group.REQUESTS,
        Text("No client brings a template", "클라이언트 템플릿 거부"),
        "appliance report --evidence (asks the gateway's own parser)",
        ("CVE-2025-62426", "CVE-2026-115911"),
        pipa=("29",), ismsp=("2.11.2",), iso=("8.28",),
    ),
    Control(
        "request.size", Group.REQUESTS,
        Text("Sizes and counts are capped", "크기와 개수 제한"),
        "appliance report --evidence (asks the gateway's own parser)",
        ("CVE-2026-34756",),
        pipa=("29",), ismsp=("2.9.2", "2.11.2"), iso=("8.28",),
    ),
    Control(
        "request.fields", Group.REQUESTS,
        Text("Fields that are not known are refused", "알 수 없는 필드 거부"),
        "appliance report --evidence (asks the gateway's own parser)",
        ("PYSEC-2026-2303", "CVE-2026-105756"),
        pipa=("29",), ismsp=("2.11.2",), iso=("8.28",),
    ),
    Control(
        "request.cache_salt", Group.REQUESTS,
        Text("Each app has a prompt cache of its own", "앱마다 분리된 프롬프트 캐시"),
        "appliance report --evidence (asks the gateway's own salt)",
        ("CVE-2025-46570", "CVE-2025-46722"),
        pipa=("29",), ismsp=("2.6.3",), iso=("8.3", "8.22"),
    ),
    Control(
        "request.metric_labels", Group.REQUESTS,
        Text("Nothing a client writes becomes a metric", "클라이언트 입력은 지표가 되지 않음"),
        "appliance metrics --markdown",
        ("PYSEC-2026-4325",),
        pipa=("29",), ismsp=("2.9.2",), iso=("8.16",),
    ),
)  # fmt: skip
_ACCESS = (
    Control(
        "keys.hashed", Group.ACCESS,
        Text("API keys are stored as SHA-256 digests only", "API 키는 SHA-256 해시로만 저장"),
        "sqlite3 <state_dir>/keys.sqlite3 'SELECT key_id, length(digest) FROM api_key'",
        pipa=("29",), ismsp=("2.5.3", "2.5.4", "2.7.1", "2.7.2"), iso=("5.17", "8.5", "8.24"),
    ),
    Control(
        "keys.accountable", Group.ACCESS,
        Text("Every API key names the app that holds it", "모든 API 키에 소유 앱이 지정되어 있음"),
        "appliance keys list",
        pipa=("29",), ismsp=("2.5.1", "2.5.2", "2.5.6"), iso=("5.15", "5.16", "5.18"),
    ),
    Control(
        "files.modes", Group.ACCESS,
        Text("What the appliance keeps is closed to other users", "보관 파일은 다른 사용자에게 닫혀 있음"),
        "stat <state_dir>/*; stat /etc/appliance/appliance.toml",
        pipa=("29",), ismsp=("2.5.5", "2.6.2", "2.6.4"), iso=("8.2", "8.3"),
    ),
    Control(
        "listener.admin", Group.ACCESS,
        Text("The admin listener is on loopback or the admin network", "관리 포트는 loopback 또는 관리망에만 열림"),
        "appliance settings (gateway.admin_host, network.admin_subnets)",
        pipa=("26", "29"), ismsp=("2.5.5", "2.6.1", "2.6.6"), iso=("8.2", "8.20", "8.22"),
    ),
    Control(
        "listener.tls", Group.ACCESS,
        Text("Apps reach the gateway over TLS", "앱과의 통신은 TLS로 암호화"),
        "openssl s_client -connect <box>:<port>",
        pipa=("29",), ismsp=("2.7.1", "2.10.5"), iso=("8.20", "8.24"),
    ),
)  # fmt: skip
_RECORDS = (
    Control(
        "audit.intact", Group.RECORDS,
        Text("No record of the audit was changed or removed", "감사 기록이 변경·삭제되지 않음"),
        "appliance report --verify-audit",
        pipa=("29", "34", "S8"), ismsp=("2.9.4", "2.9.5", "2.11.1", "2.11.5"), iso=("5.33", "8.15"),
    ),
    Control(
        "audit.retention", Group.RECORDS,
        Text("Access records are kept for a year at least", "접속 기록을 1년 이상 보관"),
        "appliance settings (audit.retention_days)",
        pipa=("29", "S8"), ismsp=("2.9.4",), iso=("5.33", "8.15"),
    ),
    Control(
        "audit.required", Group.RECORDS,
        Text("Nothing is answered unrecorded", "기록되지 않은 응답 없음"),
        "appliance settings (audit.required)",
        pipa=("29", "S8"), ismsp=("2.9.4", "2.9.5"), iso=("8.15", "8.16"),
    ),
    Control(
        "backup.fresh", Group.RECORDS,
        Text("There is a fresh backup for the recovery key", "복구 키로 암호화된 최신 백업이 있음"),
        "appliance backup list; appliance backup verify FILE --identity KEY",
        pipa=("29",), ismsp=("2.7.2", "2.9.3", "2.11.5"), iso=("8.13", "8.24"),
    ),
)  # fmt: skip
_SUPPLY = (
    Control(
        "bundle.signature", Group.SUPPLY,
        Text("The model in use is signed by a trusted key and unchanged", "사용 중인 모델은 신뢰된 키로 서명되고 변경되지 않음"),
        "appliance bundle verify <state_dir>/active",
        pipa=("29",), ismsp=("2.8.6", "2.9.1", "2.10.9"), iso=("8.7", "8.9", "8.31", "8.32"),
    ),
    Control(
        "bundle.files", Group.SUPPLY,
        Text("The model's directory holds no file that could be code", "모델 디렉터리에 코드가 될 수 있는 파일이 없음"),
        "appliance bundle inspect <state_dir>/active",
        ("CVE-2026-22807", "CVE-2025-32434", "CVE-2026-24747"),
        pipa=("29",), ismsp=("2.8.6", "2.10.9"), iso=("8.7", "8.28"),
    ),
    Control(
        "software.versions", Group.SUPPLY,
        Text("vLLM, Starlette and torch are at or above the safe versions", "vLLM·Starlette·torch가 안전한 버전 이상"),
        "appliance version; pip list",
        ("CVE-2026-48710", "CVE-2025-32434"),
        pipa=("29",), ismsp=("2.10.8", "2.11.2"), iso=("8.8", "8.32"),
    ),
    Control(
        "software.pth", Group.SUPPLY,
        Text("No unexpected .pth file runs code in the environment", "환경에 예상하지 못한 .pth 파일이 없음"),
        "ls <environment>/lib/python3*/site-packages/*.pth",
        pipa=("29",), ismsp=("2.10.9",), iso=("8.7", "8.9"),
    ),
)  # fmt: skip
_HOST = (
    Control(
        "host.clock", Group.HOST,
        Text("The clock is synchronised", "시각이 동기화됨"),
        "timedatectl show",
        pipa=("29", "S8"), ismsp=("2.9.6",), iso=("8.15",),
    ),
    Control(
        "host.core_dumps", Group.HOST,
        Text("No process writes its memory to a file when it crashes", "비정상 종료 시 메모리를 파일로 남기지 않음"),
        "cat /proc/sys/kernel/core_pattern /proc/sys/fs/suid_dumpable; /proc/<process>/limits",
        pipa=("22-2", "29"), ismsp=("2.9.7",), iso=("7.14", "8.10", "8.12"),
    ),
    Control(
        "host.sandbox", Group.HOST,
        Text("The units are sandboxed as they were shipped", "서비스 유닛이 배포된 대로 격리됨"),
        "systemctl show appliance-engine appliance-gateway appliance-exporter",
        pipa=("29",), ismsp=("2.6.2", "2.11.1"), iso=("8.2", "8.22"),
    ),
    Control(
        "host.users", Group.HOST,
        Text("Each process has a user of its own, none is root", "프로세스마다 별도의 사용자, root 아님"),
        "systemctl show -p User appliance-engine appliance-gateway appliance-exporter",
        pipa=("29",), ismsp=("2.5.5", "2.6.2"), iso=("5.18", "8.2"),
    ),
)  # fmt: skip

CONTROLS = (*_EGRESS, *_ENGINE, *_REQUESTS, *_ACCESS, *_RECORDS, *_SUPPLY, *_HOST)
BY_KEY: Mapping[str, Control] = {control.key: control for control in CONTROLS}
