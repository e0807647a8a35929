import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.pseudo import BEGIN, END, pseudo

PLACES = re.compile(r"%\(\w+\)[sd]|%%|\{\w+\}")


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Book a process", "⟦Bôôôôķ à pŕôôçééšš⟧"),
        ("%(num)d days", "⟦%(num)d dààýš⟧"),
        ("5%% off on {day}", "⟦5%% ôôff ôôñ {day}⟧"),
        ("", ""),
        (" ", " "),
    ],
)
def test_english_is_stretched_and_accented(sentence, said):
    assert pseudo(sentence) == said


@given(st.text(alphabet="abc %(){}sd", min_size=1).filter(str.strip))
def test_places_stay_and_the_sentence_stands_in_brackets(sentence):
    said = pseudo(sentence)
    assert said.startswith(BEGIN)
    assert said.endswith(END)
    assert PLACES.findall(said) == PLACES.findall(sentence)
