"""vLLM's own argument parser accepts the launch line of every profile."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from appliance.engine import command, profiles
from appliance.engine.model import Model
from appliance.settings import Settings

PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
parsed = []
for line in json.load(sys.stdin):
    arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(line)
    validate_parsed_serve_args(arguments)
    parsed.append({name: getattr(arguments, name) for name in (
        "uds", "host", "trust_remote_code", "enable_log_requests", "load_format", "max_num_seqs", "enforce_eager",
        "disable_uvicorn_access_log", "enable_prefix_caching", "prefix_caching_hash_algo", "tool_call_parser",
    )})
json.dump(parsed, sys.stdout)
"""


def test_every_profile_with_and_without_tool_calls_is_understood(tmp_path):
    template = tmp_path / "chat_template.jinja"
    template.write_text("{{ messages }}")
    plain = Model(tmp_path, "tutor", "1", "LlamaForCausalLM", 131_072, 1, template, None)
    settings = Settings(state_dir=Path("/srv/appliance"))
    lines, expected = [], []
    for profile in profiles.PROFILES:
        for parser in (None, "llama3_json", "hermes"):
            line = command.build(replace(plain, tool_parser=parser), profile, settings)
            lines.append(line.argv[1 + len(command.SERVER) :])
            expected.append(
                {
                    "uds": "/srv/appliance/run/engine.sock",
                    "host": None,
                    "trust_remote_code": False,
                    "enable_log_requests": False,
                    "load_format": "safetensors",
                    "max_num_seqs": profile.max_num_seqs.value,
                    "enforce_eager": profile.enforce_eager.value,
                    "disable_uvicorn_access_log": True,
                    "enable_prefix_caching": True,
                    "prefix_caching_hash_algo": "sha256",
                    "tool_call_parser": parser,
                }
            )
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=False,
        env={**line.environment, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == expected
