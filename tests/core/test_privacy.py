"""What may be logged is a list; everything else is dropped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.core import privacy

# Names under which content or keys travel in requests, answers and libraries.
CONTENT = {
    "api_key",
    "arguments",
    "authorization",
    "body",
    "choices",
    "completion",
    "content",
    "exc_info",
    "headers",
    "input",
    "instructions",
    "key",
    "messages",
    "output",
    "prompt",
    "query",
    "stack_info",
    "text",
    "token",
    "tools",
    "user",
}


def test_no_name_of_content_or_keys_is_on_the_list() -> None:
    assert not privacy.LOG_FIELDS & CONTENT


@given(st.dictionaries(st.sampled_from(sorted(CONTENT)) | st.text(), st.text()))
def test_only_listed_fields_pass(event: dict[str, str]) -> None:
    kept = privacy.loggable(event)
    assert set(kept) <= privacy.LOG_FIELDS
    assert set(kept) | privacy.dropped(event) == set(event)


@given(st.text(min_size=privacy.MAX_LOGGED_CHARACTERS + 1))
def test_long_text_is_cut_and_says_so(text: str) -> None:
    (cut,) = privacy.loggable({"reason": text}).values()
    assert len(cut) == privacy.MAX_LOGGED_CHARACTERS + 1
    assert cut.endswith("…")


@given(st.recursive(st.text(), st.lists, max_leaves=400))
def test_nested_values_are_cut_too(value: object) -> None:
    (cut,) = privacy.loggable({"reason": value}).values()
    assert len(cut) <= privacy.MAX_LOGGED_CHARACTERS + 1


@given(st.booleans() | st.integers() | st.floats(allow_nan=False) | st.none())
def test_numbers_stay_numbers(value: object) -> None:
    assert privacy.loggable({"status": value}) == {"status": value}
