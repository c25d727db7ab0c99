"""Which language a message is in: the script first, then the grammar of the Vietnamese syllable.

Measured packages fail on Vietnamese without diacritics; this needs none (docs/decisions/0002-language.md).
"""

import re
from functools import cache

from bot.letters import compose, fold

LANGUAGES = ("vi", "en", "lo", "th", "km", "zh")
OTHER_SCRIPTS = ("lo", "th", "km", "zh")

_SCRIPTS = {
    "lo": re.compile("[\u0e80-\u0eff]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "km": re.compile("[\u1780-\u17ff\u19e0-\u19ff]"),
    "zh": re.compile("[\u4e00-\u9fff\u3400-\u4dbf]"),
}
_WORD = re.compile(r"[^\W\d_]+")
_VIETNAMESE_LETTER = re.compile("[ăâđêôơưĂÂĐÊÔƠƯ\u1ea0-\u1ef9]")

_ONSET = "(?:ngh|ng|nh|ch|gh|gi|kh|ph|qu|th|tr|b|c|d|g|h|k|l|m|n|p|r|s|t|v|x)?"
_RIMES = (
    "a ac ach ai am an ang anh ao ap at au ay e ec ech em en eng enh eo ep et eu i ia ich iec iem ien ieng iep iet ieu im in "
    "inh ip it iu o oong oa oac oach oai oam oan oang oanh oao oat oay oc oe oen oeo oet oi om on ong ooc op ot u ua uan uang uat "
    "uay uc ue uech uenh ui uich um un ung uo uoc uoi uom uon uong uop uot uou up ut uu uy uyt uya uych uyen uyet uyn uynh uyt "
    "uyu y yt yem yen yet yeu ym ynh"
)
_SYLLABLE = re.compile(f"{_ONSET}(?:{'|'.join(sorted(_RIMES.split(), key=len, reverse=True))})")

# Short forms that only a Vietnamese writer uses, and words that only an English one does.
_TEENCODE = frozenset(
    "k ko kg hk hok dc dk j z v r vs lm ntn bn bnh trc cx nv cty ct lg hd sdt dt cccd cmnd xkld tq hq vn ck vk mn ng tr thg "
    "ib ok oke nt ad tks hnay bjo mk ae cskh kn hs gp mg fb zl tl sg hn e c b m".split()
)
_ENGLISH = frozenset(
    "the is are was were am be been have has had do does did how what when where which who why can could should would will "
    "i my me you your he she his her it its we our they their them this that these there and or but not no if of to for from "
    "with at by in on about into is job work working pay paid offer please help need want know money passport contract agency "
    "company call phone police number visa abroad country hello hi thanks thank bye yes stop english vietnamese a an any some "
    "says said told get go going went someone friend sister brother daughter son husband wife month year day week".split()
)


@cache
def is_vietnamese_syllable(folded: str) -> bool:
    """Whether a lower-case word without diacritics could be a Vietnamese syllable."""
    return _SYLLABLE.fullmatch(folded) is not None


def detect_language(text: str) -> str:
    """One of LANGUAGES. Doubt goes to Vietnamese: no message is lost because of its language."""
    text = compose(text)
    counts = {language: len(pattern.findall(text)) for language, pattern in _SCRIPTS.items()}
    script = max(counts, key=lambda language: counts[language])
    latin = len(re.findall("[A-Za-z]", text))
    if counts[script] >= 2 and counts[script] * 2 >= latin:
        return script
    if _VIETNAMESE_LETTER.search(text):
        return "vi"
    return "en" if _english_share(text) > 0.5 else "vi"


def _english_share(text: str) -> float:
    """Between 0 (every word Vietnamese) and 1 (every word English); words that could be both count for neither."""
    english = vietnamese = 0
    certain = familiar = False
    for word in _WORD.findall(fold(text).lower()):
        familiar = familiar or word in _ENGLISH
        could_be_vietnamese = is_vietnamese_syllable(word) or word in _TEENCODE
        if word in _ENGLISH and not could_be_vietnamese:
            english += 2
            certain = True
        elif not could_be_vietnamese and len(word) > 2:
            english += 1
        elif could_be_vietnamese and word not in _ENGLISH:
            vietnamese += 1
    total = english + vietnamese
    certain = certain or (vietnamese == 0 and english >= 3 and familiar)
    return english / total if certain else 0.0
