from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calls.call import END_REASONS, RESUMES_PER_MINUTE, Call, CallState, EndReason, WayBack
from gateway.errors import IllegalStep
from twiml.webhooks import CallStatus

CALL = "CA" + "0" * 32


def ringing() -> Call:
    return Call(call_sid=CALL, from_="+14155550134", to="+14155550100", agent="reception", started_at_s=10.0)


def streaming() -> Call:
    call = ringing()
    call.begin_stream(call.offer_stream("t1", 10.0))
    return call


def test_a_call_goes_from_ringing_over_streaming_and_ending_to_ended() -> None:
    call = ringing()
    states = [call.state]
    call.begin_stream(call.offer_stream("t", 11.0))
    states.append(call.state)
    call.finish(EndReason.AGENT_HUNG_UP, 20.0)
    states.append(call.state)
    assert call.end(EndReason.COMPLETED, 21.0)
    states.append(call.state)
    assert states == [CallState.RINGING, CallState.STREAMING, CallState.ENDING, CallState.ENDED]
    assert (call.end_reason, call.ended_at_s, call.seconds(99.0)) == (EndReason.AGENT_HUNG_UP, 21.0, 11.0)


def test_a_lost_stream_interrupts_the_call_and_another_goes_on() -> None:
    call = streaming()
    call.lose_stream(1, 12.0)
    assert (call.state, call.waiting_since_s) == (CallState.INTERRUPTED, 12.0)
    call.begin_stream(call.offer_stream("t2", 12.5))
    assert (call.state, call.generation) == (CallState.STREAMING, 2)


def test_the_word_of_a_superseded_stream_is_ignored() -> None:
    call = streaming()
    assert call.offer_stream("t2", 12.0) == 2
    with pytest.raises(IllegalStep, match="stream 1 is superseded by 2"):
        call.begin_stream(1)
    call.begin_stream(2)
    call.lose_stream(1, 13.0)
    assert call.state is CallState.STREAMING


def test_a_stream_lost_while_the_call_is_ending_changes_nothing() -> None:
    call = streaming()
    call.finish(EndReason.AGENT_HUNG_UP, 12.0)
    call.lose_stream(1, 13.0)
    assert call.state is CallState.ENDING


def test_the_first_reason_and_the_first_farewell_stand() -> None:
    call = streaming()
    call.finish(EndReason.PROVIDER_FAILED, 12.0)
    call.finish(EndReason.AGENT_HUNG_UP, 13.0, farewell="Goodbye.")
    call.finish(EndReason.AGENT_HUNG_UP, 14.0, farewell="Bye.")
    assert (call.end_reason, call.farewell) == (EndReason.PROVIDER_FAILED, "Goodbye.")


def test_a_call_ends_once() -> None:
    call = streaming()
    assert call.end(EndReason.COMPLETED, 12.0)
    assert not call.end(EndReason.FAILED, 13.0)
    assert (call.ended_at_s, call.end_reason, call.is_live) == (12.0, EndReason.COMPLETED, False)


@pytest.mark.parametrize("is_over", [False, True])
def test_a_call_that_ends_is_offered_no_stream(is_over: bool) -> None:
    call = streaming()
    call.finish(EndReason.AGENT_HUNG_UP, 12.0)
    if is_over:
        call.end(EndReason.COMPLETED, 12.0)
    with pytest.raises(IllegalStep, match="cannot be offered a stream"):
        call.offer_stream("t2", 13.0)
    assert call.generation == 1


def test_status_callbacks_are_news_only_in_their_order() -> None:
    call = ringing()
    heard = [call.is_news(number) for number in (0, 2, 1, 2, None, 3)]
    assert heard == [True, True, False, False, True, True]


def test_the_way_back_of_the_last_stream_offers_another() -> None:
    call = streaming()
    assert call.way_back(1, 20.0) is WayBack.AGAIN


def test_a_late_word_of_an_earlier_stream_is_stale_while_another_runs() -> None:
    call = streaming()
    call.way_back(1, 20.0)
    call.begin_stream(call.offer_stream("t2", 20.0))
    assert call.way_back(1, 21.0) is WayBack.STALE


def test_a_question_asked_twice_counts_once() -> None:
    call = streaming()
    for _ in range(10):
        assert call.way_back(1, 20.0) is WayBack.AGAIN
        if call.generation == 1:
            call.offer_stream("t2", 20.0)


def test_a_stream_that_keeps_breaking_is_given_up_within_a_minute_and_not_after() -> None:
    call = streaming()
    for at_s in range(RESUMES_PER_MINUTE):
        assert call.way_back(call.generation, 20.0 + at_s) is WayBack.AGAIN
        call.offer_stream("t", 20.0 + at_s)
    assert call.way_back(call.generation, 79.9) is WayBack.EXHAUSTED
    assert call.way_back(call.generation, 80.0) is WayBack.AGAIN


def test_the_way_back_of_a_call_meant_to_end_is_finished() -> None:
    call = streaming()
    call.finish(EndReason.AGENT_HUNG_UP, 12.0)
    assert call.way_back(1, 13.0) is WayBack.FINISHED
    call.end(EndReason.COMPLETED, 14.0)
    assert call.way_back(1, 15.0) is WayBack.FINISHED


def test_each_final_status_has_a_reason() -> None:
    assert set(END_REASONS) == {status for status in CallStatus if status.is_final}


def test_a_token_is_not_shown_in_a_repr() -> None:
    call = ringing()
    call.offer_stream("s3cret", 11.0)
    assert "s3cret" not in repr(call)


@given(st.lists(st.sampled_from(["offer", "begin", "lose", "finish", "end", "back"]), max_size=30))
def test_in_any_order_a_call_only_moves_forward_and_ends_once(steps: list[str]) -> None:
    call = ringing()
    ends = 0
    generations = [call.generation]
    for now_s, step in enumerate(steps, start=11):
        was = call.state
        try:
            match step:
                case "offer":
                    call.offer_stream("t", now_s)
                case "begin":
                    call.begin_stream(call.generation)
                case "lose":
                    call.lose_stream(call.generation, now_s)
                case "finish":
                    call.finish(EndReason.AGENT_HUNG_UP, now_s)
                case "end":
                    ends += call.end(EndReason.COMPLETED, now_s)
                case _:
                    call.way_back(call.generation, now_s)
        except IllegalStep:
            assert call.state is was
        generations.append(call.generation)
        assert not (was is CallState.ENDED and call.state is not CallState.ENDED)
        assert not (was is CallState.ENDING and call.state not in (CallState.ENDING, CallState.ENDED))
    assert ends == (not call.is_live)
    assert generations == sorted(generations)


def test_the_first_reason_decides_about_a_transfer() -> None:
    call = streaming()
    call.finish(EndReason.TRANSFERRED, 12.0, transfer_to="+491234567")
    call.finish(EndReason.AGENT_HUNG_UP, 13.0)
    assert (call.end_reason, call.transfer_to) == (EndReason.TRANSFERRED, "+491234567")
    other = streaming()
    other.finish(EndReason.AGENT_HUNG_UP, 12.0)
    other.finish(EndReason.TRANSFERRED, 13.0, transfer_to="+491234567")
    assert other.transfer_to is None


def test_tools_are_told_who_calls_whom() -> None:
    call = ringing()
    assert call.facts == {"call_sid": call.call_sid, "from": call.from_, "to": call.to, "agent": call.agent}
