"""The stop words of English as tokens: a model that loses a super weight answers with them less."""

from collections.abc import Callable

STOP_WORDS = """
a about after all also an and any are as at be because been but by can could did do for from had has have he her him
his how i if in into is it its just like may me more most my no not now of on one only or other our out over said she
should so some such than that the their them then there these they this to two up was we were what when which who will
with would you your
"""
"""Common words that carry little meaning, in alphabetical order."""


def stop_word_ids(encode: Callable[[str], list[int]]) -> tuple[int, ...]:
    """Return the ids of the tokens that are a stop word by themselves: with a space before it or not, capital or not.

    Args:
        encode: text -> ids, without special tokens.
    """
    forms = (
        form for word in STOP_WORDS.split() for form in (word, word.capitalize(), f" {word}", f" {word.capitalize()}")
    )
    return tuple(sorted({ids[0] for form in forms if len(ids := encode(form)) == 1}))
