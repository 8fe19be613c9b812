"""The stop words of English as tokens: a language model without its super weight answers with them more.

Source: Yu et al. 2024, arXiv:2411.07191, Section 3.
"""

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

    Empty where no word of several letters is a token, as with a tokenizer of characters.

    Args:
        encode: text -> ids, without special tokens.
    """
    found: dict[int, str] = {}
    for word in STOP_WORDS.split():
        for form in (word, word.capitalize(), f" {word}", f" {word.capitalize()}"):
            ids = _known(encode, form)
            if len(ids) == 1:
                found[ids[0]] = word
    return tuple(sorted(found)) if any(len(word) > 1 for word in found.values()) else ()


def _known(encode: Callable[[str], list[int]], form: str) -> list[int]:
    """Return the ids of a word; none where a tokenizer of characters lacks one of its letters."""
    try:
        return encode(form)
    except ValueError:
        return []
