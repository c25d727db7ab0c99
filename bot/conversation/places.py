"""Where somebody lives, from a message that says nothing else: "em ở Nghệ An", "que nghe an, dang o nhat"."""

from dataclasses import dataclass

from bot.content import Library, plain_name

LONGEST_NAME = 6  # words
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
    words, codes = plain_name(text).split(), []
    while words:
        length = next((n for n in range(LONGEST_NAME, 0, -1) if _is_name(words[:n], library)), 0)
        if length:
            codes.append(library.place_names[" ".join(words[:length])])
        elif words[0] not in BESIDE:
            return None
        words = words[length or 1 :]
    return whereabouts(codes, library) if codes else None


def whereabouts(codes: list[str], library: Library) -> Whereabouts:
    """The first province and the first country of these codes; a foreign country before Viet Nam."""
    countries = sorted((code for code in codes if code in library.countries), key=lambda code: code == "VN")
    provinces = [code for code in codes if code not in library.countries]
    return Whereabouts(next(iter(provinces), None), next(iter(countries), None))


def _is_name(words: list[str], library: Library) -> bool:
    """A single word that also stands beside places ("anh") is none."""
    return " ".join(words) in library.place_names and not (len(words) == 1 and words[0] in BESIDE)
