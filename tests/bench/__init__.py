"""``make bench``: the appliance's gateway beside nginx, LiteLLM and vllm-router, in one run, as ratios."""
