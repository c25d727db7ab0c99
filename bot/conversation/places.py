"""Where somebody lives, from a message that says nothing else: "em ở Nghệ An", "que nghe an, dang o nhat"."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.content import Library, plain_name

LONGEST_NAME = 6  # words
MOST_WORDS = 14
BESIDE = frozenset(  # words beside a place that say nothing more
    "em e m t toi tui minh mik con chau anh chi co chu bac ba me ong bo da vang thua a ah oi nha nka nhak nhe nke nhen ne voi roi "
    "que goc o tai ben trong tu dang song lam gio hien ma va thi la nguoi tinh thanh pho tp huyen vung khu cho xin "
    "i m am live living in at from my home province is now city the".split()
)


@dataclass(frozen=True)
class Whereabouts:
    """What was named: the code of a province, of a country, or both."""

    province: str | None = None
    country: str | None = None

    def utc_offset(self, library: Library) -> int | None:
        country = library.countries.get(self.country or "")
        return country.utc_offset if country else None


def named_in(text: str, library: Library) -> Whereabouts | None:
    """The places, where the whole message is their names and words like "em o"; None where it says anything else, or no place."""
    words = tuple(plain_name(text).split())
    codes = _codes(words, library.place_names) if len(words) <= MOST_WORDS else None
    return whereabouts(codes, library) if codes else None


def _codes(words: tuple[str, ...], names: Mapping[str, str]) -> list[str] | None:
    """The places of which these words consist, in their order; the longer name first ("vinh phuc" before "o vinh")."""
    if not words:
        return []
    for length in range(min(LONGEST_NAME, len(words)), 0, -1):
        code = names.get(" ".join(words[:length]))
        alone = length > 1 or words[0] not in BESIDE  # "anh" beside a place is a person
        rest = _codes(words[length:], names) if code and alone else None
        if code and rest is not None:
            return [code, *rest]
    return _codes(words[1:], names) if words[0] in BESIDE else None


def whereabouts(codes: list[str], library: Library) -> Whereabouts:
    """The first province and the first country of these codes; a foreign country before Viet Nam."""
    countries = sorted((code for code in codes if code in library.countries), key=lambda code: code == "VN")
    provinces = [code for code in codes if code not in library.countries]
    return Whereabouts(next(iter(provinces), None), next(iter(countries), None))
