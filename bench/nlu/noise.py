"""The three ways in which the understanding is tested: as written, without diacritics, and as teencode with slips of the finger.

The third form: the short forms below wherever their words stand, every "đ" as "d" (the other diacritics stay), and one letter in
twenty hit by a slip: left out, doubled, swapped with the next, or another letter in its place. The same text always gets the same slips,
whatever stands beside it.
"""

import random
import re

from bot.letters import compose, fold

SHORT_FORMS = {
    "như thế nào": "ntn", "bao nhiêu": "bn", "bây giờ": "bjo", "hôm nay": "hnay", "không": "ko", "được": "dc", "với": "vs",
    "mình": "mk", "tôi": "tui", "gì": "j", "rồi": "r", "vậy": "z", "nhiều": "nhiu", "biết": "bit", "làm": "lm", "người": "ng",
    "trước": "trc", "cũng": "cx", "mới": "ms", "việc": "vc", "nước": "nc", "vợ": "vk",
}  # fmt: skip
SLIPS = 0.05  # of the letters
SEED = 7

_WORDS = re.compile(rf"\b(?:{'|'.join(SHORT_FORMS)})\b", re.IGNORECASE)
_STROKE = str.maketrans("đĐ", "dD")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def as_written(text: str) -> str:
    return text


def without_diacritics(text: str) -> str:
    return fold(text)


def teencode_with_slips(text: str, seed: int = SEED) -> str:
    short = _WORDS.sub(lambda match: SHORT_FORMS[match[0].lower()], compose(text))
    return slips(short.translate(_STROKE), random.Random(f"{seed} {text}"))  # noqa: S311 - nothing secret


def slips(text: str, chance: random.Random) -> str:
    """Each letter is hit with the same chance, by one of four slips; figures, marks and spaces are not.

    The last letter of a word, which has none to be swapped with, is left out instead.
    """
    letters = list(text)
    found: list[str] = []
    while letters:
        letter = letters.pop(0)
        if not letter.isalpha() or chance.random() >= SLIPS:
            found.append(letter)
            continue
        slip = chance.choice(("left out", "doubled", "swapped", "replaced"))
        if slip == "doubled":
            found += [letter, letter]
        elif slip == "swapped" and letters and letters[0].isalpha():
            found += [letters.pop(0), letter]
        elif slip == "replaced":
            found.append(chance.choice(_ALPHABET))
    return "".join(found)


FORMS = {
    "as written": as_written,
    "no diacritics": without_diacritics,
    "teencode and slips": teencode_with_slips,
}
