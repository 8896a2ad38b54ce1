from appliance.tutor import kinds
from appliance.tutor.checks import check_diagnosis, check_similar
from appliance.tutor.corpus import samples
from appliance.tutor.scores import NO_DIAGNOSIS, Share, tally


def judged(reply_of, count=240):
    for item in samples(5, "heldout", count):
        problem, text = kinds.parse(item.problem), reply_of(item)
        if item.task == "diagnosis":
            yield item, check_diagnosis(text, problem, item.mistake)
        else:
            yield item, check_similar(text, problem, mistake=item.mistake)


def test_a_perfect_model_scores_one_in_everything():
    scores = tally(judged(lambda item: item.answer))
    for group in (scores.overall, *scores.by_language.values()):
        assert {group.diagnosis.ratio, group.correct_answer.ratio, group.similar.ratio} == {1.0}
        assert {group.diagnosis_json.ratio, group.similar_json.ratio, group.working.ratio} == {1.0}
    assert all(share.ratio == 1 for share in scores.diagnosis_by_mistake.values())
    assert not scores.similar_faults


def test_a_silent_model_scores_nothing_and_shows_in_the_confusion_matrix():
    scores = tally(judged(lambda item: ""))
    assert scores.overall.diagnosis.right == 0
    assert all(set(named) == {NO_DIAGNOSIS} for named in scores.confusion.values())
    assert scores.similar_faults["well_formed"] == scores.overall.similar.total


def test_languages_add_up_to_the_whole():
    scores = tally(judged(lambda item: item.answer if item.language == "ko" else ""))
    korean, english = scores.by_language["ko"].diagnosis, scores.by_language["en"].diagnosis
    assert korean.ratio == 1
    assert english.ratio == 0
    assert korean.total + english.total == scores.overall.diagnosis.total


def test_a_wrong_key_is_counted_where_it_belongs():
    swapped = tally(judged(lambda item: item.answer.replace("addition_carry_dropped", "addition_columns_joined")))
    assert set(swapped.confusion["addition_carry_dropped"]) == {"addition_columns_joined"}
    assert swapped.diagnosis_by_mistake["addition_carry_dropped"].right == 0


def test_a_share_of_nothing_is_zero():
    assert Share(0, 0).ratio == 0.0
