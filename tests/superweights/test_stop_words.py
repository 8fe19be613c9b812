"""Stop words as tokens of any tokenizer."""

from lth.superweights.stop_words import STOP_WORDS, stop_word_ids


def test_words_that_are_one_token_count_in_each_form() -> None:
    known = {" the": 7, "The": 3, " of": 5, "a": 9, " model": 1}

    def encode(text: str) -> list[int]:
        return [known[text]] if text in known else [0, 0]

    assert stop_word_ids(encode) == (3, 5, 7, 9)


def test_letters_are_no_words() -> None:
    letters = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz ")}

    def encode(text: str) -> list[int]:
        try:
            return [letters[letter] for letter in text]
        except KeyError as error:
            raise ValueError(f"{error} is no letter of this text") from error

    assert stop_word_ids(encode) == ()


def test_the_list_is_in_order_and_without_repeats() -> None:
    words = STOP_WORDS.split()
    assert words == sorted(set(words))
