from appliance.bundles import examine


def test_questions_of_like_length_go_together_and_none_is_lost():
    questions = [[{"content": "x" * length}] for length in (9, 1, 8, 2, 5)]
    batches = list(examine._batches(questions, 2))
    assert batches == [[1, 3], [4, 2], [0]]
