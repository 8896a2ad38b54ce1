"""The requirements that the controls are evidence for: their numbers and titles.

Sources: 개인정보 보호법 (PIPA) and 개인정보의 안전성 확보조치 기준 art. 8 (``S8``); the
ISMS-P certification criteria, part 2; ISO/IEC 27001:2022, Annex A.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.core.upkeep import Text

PIPA: Mapping[str, Text] = {
    "22-2": Text("children under 14", "만 14세 미만 아동의 개인정보 보호"),
    "26": Text("outsourcing, remote support", "업무위탁에 따른 개인정보의 처리 제한"),
    "28-8": Text("transfer abroad", "개인정보의 국외 이전"),
    "29": Text("safeguards", "안전조치의무"),
    "34": Text("notice of a breach", "개인정보 유출 등의 통지·신고"),
    "S8": Text(
        "safety-measures standard, art. 8: access records", "안전성 확보조치 기준 제8조(접속기록의 보관 및 점검)"
    ),
}
ISMSP: Mapping[str, Text] = {
    "2.5.1": Text("user accounts", "사용자 계정 관리"),
    "2.5.2": Text("identification of users", "사용자 식별"),
    "2.5.3": Text("authentication of users", "사용자 인증"),
    "2.5.4": Text("passwords", "비밀번호 관리"),
    "2.5.5": Text("special accounts and rights", "특수 계정 및 권한 관리"),
    "2.5.6": Text("review of access rights", "접근권한 검토"),
    "2.6.1": Text("access to networks", "네트워크 접근"),
    "2.6.2": Text("access to systems", "정보시스템 접근"),
    "2.6.3": Text("access to applications", "응용프로그램 접근"),
    "2.6.4": Text("access to databases", "데이터베이스 접근"),
    "2.6.6": Text("remote access", "원격접근 통제"),
    "2.6.7": Text("access to the internet", "인터넷 접속 통제"),
    "2.7.1": Text("use of cryptography", "암호정책 적용"),
    "2.7.2": Text("cryptographic keys", "암호키 관리"),
    "2.8.4": Text("test data", "시험 데이터 보안"),
    "2.8.6": Text("transfer into operation", "운영환경 이관"),
    "2.9.1": Text("change management", "변경관리"),
    "2.9.2": Text("performance and failures", "성능 및 장애관리"),
    "2.9.3": Text("backup and recovery", "백업 및 복구관리"),
    "2.9.4": Text("logs and access records", "로그 및 접속기록 관리"),
    "2.9.5": Text("inspection of logs and access records", "로그 및 접속기록 점검"),
    "2.9.6": Text("synchronised time", "시간 동기화"),
    "2.9.7": Text("reuse and disposal", "정보자산의 재사용 및 폐기"),
    "2.10.5": Text("security of transmission", "정보전송 보안"),
    "2.10.7": Text("removable media", "보조저장매체 관리"),
    "2.10.8": Text("patches", "패치관리"),
    "2.10.9": Text("malware", "악성코드 통제"),
    "2.11.1": Text("prevention of and response to incidents", "사고 예방 및 대응체계 구축"),
    "2.11.2": Text("vulnerabilities", "취약점 점검 및 조치"),
    "2.11.3": Text("analysis and monitoring of anomalies", "이상행위 분석 및 모니터링"),
    "2.11.4": Text("incident drills", "사고 대응 훈련 및 개선"),
    "2.11.5": Text("incident response and recovery", "사고 대응 및 복구"),
}
_ISO_TITLES = {
    "5.15": "Access control",
    "5.16": "Identity management",
    "5.17": "Authentication information",
    "5.18": "Access rights",
    "5.23": "Information security for use of cloud services",
    "5.33": "Protection of records",
    "5.34": "Privacy and protection of PII",
    "7.14": "Secure disposal or re-use of equipment",
    "8.2": "Privileged access rights",
    "8.3": "Information access restriction",
    "8.5": "Secure authentication",
    "8.7": "Protection against malware",
    "8.8": "Management of technical vulnerabilities",
    "8.9": "Configuration management",
    "8.10": "Information deletion",
    "8.11": "Data masking",
    "8.12": "Data leakage prevention",
    "8.13": "Information backup",
    "8.14": "Redundancy of information processing facilities",
    "8.15": "Logging",
    "8.16": "Monitoring activities",
    "8.20": "Networks security",
    "8.21": "Security of network services",
    "8.22": "Segregation of networks",
    "8.24": "Use of cryptography",
    "8.28": "Secure coding",
    "8.31": "Separation of development, test and production environments",
    "8.32": "Change management",
}
#: Titles as the standard has them.
ISO: Mapping[str, Text] = {item: Text(title, title) for item, title in _ISO_TITLES.items()}

STANDARDS: Mapping[str, Mapping[str, Text]] = {"PIPA": PIPA, "ISMS-P": ISMSP, "ISO/IEC 27001:2022": ISO}
