import random

from retune.tools.data_doctor.minhash import MinHashIndex

WORDS = [f"word{n}" for n in range(2000)]


def contexts(count: int, length: int = 80) -> list[list[str]]:
    chance = random.Random(7)
    return [chance.choices(WORDS, k=length) for _ in range(count)]


def test_a_context_with_a_few_other_words_is_near_and_with_many_is_not() -> None:
    texts = contexts(300)
    known = MinHashIndex(map(" ".join, texts))
    for words in texts:
        few = [word if place not in {9, 40} else "new" for place, word in enumerate(words)]
        near = known.nearest(" ".join(few))
        assert near is not None
        assert near[0] == " ".join(words)
        assert 0.8 <= near[1] < 1
        many = [word if place % 8 else "new" for place, word in enumerate(words)]
        assert known.nearest(" ".join(many)) is None


def test_case_and_punctuation_do_not_tell_contexts_apart() -> None:
    known = MinHashIndex(["The Rhine is long; very long."])
    assert known.nearest("the RHINE is long: very long") == ("The Rhine is long; very long.", 1.0)


def test_scripts_without_spaces_are_compared_by_letter() -> None:
    context = "一二三四五六七八九十百千万零年月日时分秒"
    near = MinHashIndex([context]).nearest(context + "东")
    assert near is not None
    assert near[0] == context


def test_short_and_empty_contexts_are_compared_too() -> None:
    known = MinHashIndex(["abc", "!"])
    assert known.nearest("abc") == ("abc", 1.0)
    assert known.nearest("abd") is None
    assert known.nearest("?") == ("!", 1.0)


def test_many_contexts_that_share_all_are_found_without_comparing_them_all() -> None:
    same = " ".join(WORDS[:80])
    known = MinHashIndex(f"{same} {number}" for number in range(500))
    assert known.nearest(same) is not None
    assert max(map(len, known._buckets.values())) <= 4
