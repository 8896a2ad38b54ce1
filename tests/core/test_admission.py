"""Who goes next, who waits, who comes back later."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.core.admission import MAX_RETRY_SECONDS, Admission, Bounds, Refusal, State

BOUNDS = Bounds(waiting=4096, waiting_per_app=2048, waiting_bytes=1 << 30, deadline_seconds=30.0)


def queue(slots=4, batch_share=1.0, **bounds):
    fields = {name: getattr(BOUNDS, name) for name in Bounds.__slots__}
    return Admission(slots, Bounds(**{**fields, **bounds}), batch_share)


def arrive(admission, app, count=1, priority="interactive", now=0.0, **fields):
    return [admission.arrive(app, priority, now, **fields) for _ in range(count)]


def admitted(places):
    return [place for place in places if place.state is State.ADMITTED]


def release_one(admission, places, now=0.0):
    admission.leave(admitted(places)[0], now)


def serve_in_order(admission, places, now=0.0):
    """Let the oldest running one finish until nothing runs; the apps in the order in which they were admitted."""
    order, running = [], admitted(places)
    for place in places:
        place.wake = lambda place=place: (order.append(place.app), running.append(place))
    while running:
        admission.leave(running.pop(0), now)
    return order


# --- Slots


def test_request_is_admitted_at_once_while_a_slot_is_free():
    admission = queue(slots=2)
    assert [place.state for place in arrive(admission, "a", 3)] == [State.ADMITTED, State.ADMITTED, State.WAITING]


def test_freed_slot_wakes_who_waits():
    admission = queue(slots=1)
    first, second = arrive(admission, "a", 2)
    woken = []
    second.wake = lambda: woken.append(second.state)
    admission.leave(first, 1.0)
    assert woken == [State.ADMITTED]


def test_leaving_twice_frees_one_slot():
    admission = queue(slots=1)
    places = arrive(admission, "a", 3)
    admission.leave(places[0], 0.0)
    admission.leave(places[0], 0.0)
    assert [place.state for place in places] == [State.GONE, State.ADMITTED, State.WAITING]


def test_client_that_leaves_while_it_waits_frees_its_place():
    admission = queue(slots=1, waiting_per_app=1)
    _, waiting = arrive(admission, "a", 2)
    admission.leave(waiting, 0.0)
    assert arrive(admission, "a")[0].state is State.WAITING
    assert (admission.waiting, admission.running) == (1, 1)


def test_request_for_several_sequences_holds_as_many_slots():
    admission = queue(slots=4)
    arrive(admission, "a", 1, sequences=3)
    assert [place.state for place in arrive(admission, "b", 2)] == [State.ADMITTED, State.WAITING]


def test_request_for_more_sequences_than_slots_is_served_all_the_same():
    admission = queue(slots=4)
    large = arrive(admission, "a", 1, sequences=64)[0]
    small = arrive(admission, "b")[0]
    assert (large.state, small.state) == (State.ADMITTED, State.WAITING)
    admission.leave(large, 0.0)
    assert small.state is State.ADMITTED


def test_more_slots_are_filled_at_once():
    admission = queue(slots=1)
    places = arrive(admission, "a", 5)
    admission.resize(0.0, slots=3)
    assert len(admitted(places)) == 3


# --- Fairness


@pytest.mark.parametrize("slots", [1, 2, 3, 16, 256])
@pytest.mark.parametrize("served_before", [0, 1, 7, 100])
def test_single_question_beside_a_batch_of_1000_waits_for_one_release_at_most(slots, served_before):
    admission = queue(slots=slots)
    batch = arrive(admission, "batch", 1000 + slots)
    for _ in range(served_before):
        release_one(admission, batch)
    question = arrive(admission, "homework")[0]
    release_one(admission, batch)
    assert question.state is State.ADMITTED


@pytest.mark.parametrize("slots", [1, 2, 16])
def test_single_question_waits_for_one_release_at_most_again_and_again(slots):
    admission = queue(slots=slots)
    batch = arrive(admission, "batch", 1000)
    for _ in range(100):
        question = arrive(admission, "homework")[0]
        release_one(admission, batch)
        assert question.state is State.ADMITTED
        admission.leave(question, 0.0)


def test_apps_that_all_wait_hold_equal_shares():
    admission = queue(slots=12)
    places = arrive(admission, "early", 200) + arrive(admission, "b", 200) + arrive(admission, "c", 200)
    for _ in range(12):
        release_one(admission, places)
    assert Counter(place.app for place in admitted(places)) == {"early": 4, "b": 4, "c": 4}


def test_app_of_twice_the_weight_holds_twice_the_slots():
    admission = queue(slots=12, weights={"b": 2.0})
    places = arrive(admission, "early", 200) + arrive(admission, "b", 200) + arrive(admission, "c", 200)
    for _ in range(40):
        release_one(admission, places)
    assert Counter(place.app for place in admitted(places)) == {"early": 3, "b": 6, "c": 3}


def test_apps_take_turns_where_there_is_but_one_slot():
    admission = queue(slots=1)
    places = arrive(admission, "a", 4) + arrive(admission, "b", 3) + arrive(admission, "c", 3)
    assert serve_in_order(admission, places) == list("bcabcabca")


def test_app_with_long_answers_does_not_take_the_slots_of_one_with_short_ones():
    admission = queue(slots=8)
    long = arrive(admission, "long", 100)
    short = arrive(admission, "short", 100)
    for _ in range(8):
        release_one(admission, long)  # then long's four stay while short's come and go
    for _ in range(40):
        release_one(admission, short)
        assert len(admitted(long)) == 4


def test_requests_of_one_app_are_served_in_their_order():
    admission = queue(slots=1)
    first, second, third = arrive(admission, "a", 3)
    admission.leave(first, 0.0)
    assert (second.state, third.state) == (State.ADMITTED, State.WAITING)


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["interactive", "batch"])), max_size=60),
    st.floats(0.01, 1.0),
)
def test_nobody_starves(slots, arrivals, batch_share):
    admission = queue(slots=slots, batch_share=batch_share)
    places = [admission.arrive(app, priority, 0.0) for app, priority in arrivals]
    at_once = len(admitted(places))
    assert len(serve_in_order(admission, places)) == len(places) - at_once
    assert {place.state for place in places} <= {State.GONE}


@given(st.integers(1, 6), st.integers(1, 6))
def test_batch_goes_on_beside_people_who_never_stop_asking(slots, people):
    admission = queue(slots=slots, batch_share=0.25)
    places = [place for app in range(people) for place in arrive(admission, f"app{app}", 50)]
    job = arrive(admission, "nightly", 1, "batch")[0]
    release_one(admission, places)
    assert job.state is State.ADMITTED


# --- Classes and hours


@pytest.mark.parametrize(("share", "slots_of_batch"), [(1.0, 16), (0.25, 4), (0.01, 1), (0.0, 0)])
def test_batch_holds_at_most_its_share_of_the_slots(share, slots_of_batch):
    admission = queue(slots=16, batch_share=share)
    jobs = arrive(admission, "nightly", 100, "batch")
    assert len(admitted(jobs)) == slots_of_batch
    assert len(admitted(arrive(admission, "homework", 100))) == 16 - slots_of_batch


def test_night_lets_the_waiting_batch_fill_the_box_and_morning_takes_it_back():
    admission = queue(slots=16, batch_share=0.0)
    jobs = arrive(admission, "nightly", 100, "batch")
    admission.resize(0.0, batch_share=1.0)
    assert len(admitted(jobs)) == 16
    admission.resize(0.0, batch_share=0.25)
    people = arrive(admission, "homework", 100)
    for _ in range(16):
        release_one(admission, jobs + people)
    assert len(admitted(jobs)) <= 4


def test_question_goes_before_a_batch_that_waits_longer_also_at_night():
    admission = queue(slots=4)
    jobs = arrive(admission, "nightly", 100, "batch")
    question = arrive(admission, "homework")[0]
    release_one(admission, jobs)
    assert question.state is State.ADMITTED


def test_batch_and_people_alternate_where_there_is_but_one_slot():
    admission = queue(slots=1, batch_share=0.25)
    places = arrive(admission, "homework", 4) + arrive(admission, "nightly", 3, "batch")
    assert serve_in_order(admission, places) == ["nightly", "homework"] * 3


# --- Bounds


def test_one_app_cannot_fill_the_queue():
    admission = queue(slots=1, waiting=100, waiting_per_app=10)
    assert Counter(place.state for place in arrive(admission, "a", 50)) == {
        State.ADMITTED: 1,
        State.WAITING: 10,
        State.REFUSED: 39,
    }
    assert arrive(admission, "b")[0].state is State.WAITING


def test_full_queue_makes_room_for_an_app_with_a_shorter_line():
    admission = queue(slots=1, waiting=20, waiting_per_app=10)
    long = arrive(admission, "a", 11) + arrive(admission, "b", 10)
    question = arrive(admission, "c")[0]
    assert question.state is State.WAITING
    assert [place.refusal for place in long if place.state is State.REFUSED] == [Refusal.FULL]
    assert admission.waiting == 20


def test_full_queue_refuses_who_would_only_push_out_an_equal():
    admission = queue(slots=1, waiting=4, waiting_per_app=10)
    for app in "abcd":
        arrive(admission, app, 2 if app == "a" else 1)
    newcomer = arrive(admission, "e")[0]
    assert (newcomer.state, newcomer.refusal, admission.waiting) == (State.REFUSED, Refusal.FULL, 4)


def test_batch_gives_way_to_people_in_a_full_queue_and_never_the_other_way():
    admission = queue(slots=1, waiting=4)
    arrive(admission, "nightly", 5, "batch")
    people = [arrive(admission, app)[0] for app in "abcd"]
    assert {place.state for place in people} == {State.WAITING}
    assert arrive(admission, "other", 1, "batch")[0].state is State.REFUSED


def test_bytes_that_wait_are_bounded():
    admission = queue(slots=1, waiting_bytes=1000)
    arrive(admission, "a", 1, size_bytes=400)
    assert [place.state for place in arrive(admission, "a", 3, size_bytes=400)] == [
        State.WAITING,
        State.WAITING,
        State.REFUSED,
    ]
    assert admission.waiting_bytes == 800


def test_deadline_refuses_who_came_first():
    admission = queue(slots=1, deadline_seconds=30.0)
    arrive(admission, "a", 1, now=0.0)
    early, late = arrive(admission, "a", 1, now=10.0)[0], arrive(admission, "b", 1, now=11.0)[0]
    assert admission.next_deadline() == 40.0
    admission.expire(40.0)
    assert (early.state, early.refusal) == (State.REFUSED, Refusal.DEADLINE)
    assert (late.state, admission.waiting) == (State.WAITING, 1)


def test_dismissed_are_all_who_wait_and_nobody_who_runs():
    admission = queue(slots=2)
    places = arrive(admission, "a", 5)
    admission.dismiss(1.0)
    assert Counter(place.state for place in places) == {State.ADMITTED: 2, State.REFUSED: 3}


# --- The time to come back


def test_rate_is_measured_from_how_long_slots_are_held():
    admission = queue(slots=8)
    for start in range(100):
        place = arrive(admission, "a", 1, now=float(start))[0]
        admission.leave(place, start + 4.0)
    assert admission.requests_per_second == pytest.approx(2.0)


def test_answer_that_failed_at_once_does_not_make_the_engine_look_fast():
    admission = queue(slots=8)
    admission.leave(arrive(admission, "a", 1, now=0.0)[0], 4.0)
    for _ in range(100):
        admission.leave(arrive(admission, "a", 1, now=5.0)[0], 5.001, served=False)
    assert admission.requests_per_second == pytest.approx(2.0)


def test_each_refusal_is_told_a_later_time_than_the_one_before():
    admission = queue(slots=2, waiting_per_app=0)
    admission.leave(arrive(admission, "a", 1, now=0.0)[0], 4.0)
    arrive(admission, "a", 2, now=4.0)
    told = [place.retry_seconds for place in arrive(admission, "a", 50, now=4.0)]
    assert told[:3] == [2.0, 4.0, 6.0]
    assert max(told) == MAX_RETRY_SECONDS


def test_batch_that_is_shut_out_is_told_the_longest_time_that_clients_heed():
    admission = queue(slots=2, waiting_per_app=0, batch_share=0.0)
    assert arrive(admission, "nightly", 1, "batch")[0].retry_seconds == MAX_RETRY_SECONDS


@given(st.integers(1, 8), st.integers(1, 40))
def test_who_comes_back_when_told_finds_a_place(slots, refused):
    """A simulated engine of one second an answer, its slots freed one after another; everybody obeys."""
    admission = queue(slots=slots, waiting_per_app=3)
    ends: list[tuple[float, int, object]] = []  # when each running request will be over
    running = arrive(admission, "a", slots)
    for index, place in enumerate(running):
        ends.append(((index + 1) / slots, index, place))
    waiting = arrive(admission, "a", 3)
    told = [place.retry_seconds for place in arrive(admission, "a", refused)]
    returned = []
    for index, when in enumerate(told):
        while ends and ends[0][0] <= when + 1e-9:
            end, _, place = ends.pop(0)
            admission.leave(place, end)
            for admitted_now in [place for place in waiting + returned if place.admitted == end]:
                ends.append((end + 1.0, slots + len(ends) + index, admitted_now))
            ends.sort(key=lambda one: one[:2])
        returned.append(admission.arrive("a", "interactive", when))
    assert [place for place in returned if place.state is State.REFUSED] == []


# --- Whatever happens


class Anything(RuleBasedStateMachine):
    """Arrivals, releases, departures, deadlines and changes of size in any order."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.slots = 3
        self.bounds = Bounds(waiting=12, waiting_per_app=5, waiting_bytes=1000, deadline_seconds=10.0)
        self.admission = Admission(self.slots, self.bounds, 0.5)
        self.places = []

    @rule(app=st.sampled_from("abcd"), priority=st.sampled_from(["interactive", "batch"]), size=st.integers(0, 200))
    def arrival(self, app, priority, size):
        self.places.append(self.admission.arrive(app, priority, self.now, size_bytes=size))

    @precondition(lambda self: self.places)
    @rule(data=st.data())
    def departure(self, data):
        place = self.places.pop(data.draw(st.integers(0, len(self.places) - 1)))
        self.admission.leave(place, self.now)

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds):
        self.now += seconds
        self.admission.expire(self.now)

    @rule(slots=st.integers(1, 6), share=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    def resized(self, slots, share):
        self.admission.resize(self.now, slots=slots, batch_share=share)
        self.slots = max(slots, self.admission.running)

    @invariant()
    def never_more_than_the_slots_run(self):
        running = [place for place in self.places if place.state is State.ADMITTED]
        assert len(running) == self.admission.running <= self.slots

    @invariant()
    def bounds_hold_and_counts_are_true(self):
        waiting = [place for place in self.places if place.state is State.WAITING]
        assert len(waiting) == self.admission.waiting <= self.bounds.waiting
        assert sum(place.size_bytes for place in waiting) == self.admission.waiting_bytes <= self.bounds.waiting_bytes
        per_app = Counter((place.app, place.priority) for place in waiting)
        assert all(count <= self.bounds.waiting_per_app for count in per_app.values())
        assert all(place.arrived + self.bounds.deadline_seconds > self.now for place in waiting)

    @invariant()
    def no_person_waits_while_a_slot_is_free(self):
        if self.admission.running < self.admission.slots:
            assert not [p for p in self.places if p.state is State.WAITING and p.priority == "interactive"]

    @invariant()
    def refused_know_why_and_when(self):
        for place in self.places:
            if place.state is State.REFUSED:
                assert place.refusal is not None
                assert 0 < place.retry_seconds <= MAX_RETRY_SECONDS

    def teardown(self):
        for place in self.places:
            self.admission.leave(place, self.now)
        assert (self.admission.running, self.admission.waiting, self.admission.waiting_bytes) == (0, 0, 0)
        assert all(not lane.apps and not lane.queued for lane in self.admission._lanes.values()), "an app is kept"


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
