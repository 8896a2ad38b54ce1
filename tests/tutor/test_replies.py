import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.tutor.replies import read


def test_an_object_alone_is_bare():
    reply = read(' {"problem": "1 + 2", "answer": 3}\n')
    assert reply.bare
    assert reply.fields == {"problem": "1 + 2", "answer": "3"}


@pytest.mark.parametrize("text", ['```json\n{"a": "b"}\n```', 'Sure! {"a": "b"} Bye', '{bad} {"a": "b"}'])
def test_an_object_among_words_is_found_but_not_bare(text):
    reply = read(text)
    assert not reply.bare
    assert reply.fields == {"a": "b"}


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', "{" * 5000, '{"a": ', "[" * 100_000])
def test_no_object_is_none_and_no_error(text):
    assert read(text).fields is None


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text):
    assert read(text).bare is False or read(text).fields is not None
