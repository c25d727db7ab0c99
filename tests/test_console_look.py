"""The console's pages: what they need, what they may not hold, and their words; how they show what others wrote."""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.filters import day, defanged, local, visible
from bot.yaml_files import load_yaml
from tests.conftest import ROOT
from tests.console_pages import PAGES, render, words

TEMPLATES = ROOT / "bot" / "web" / "templates" / "console"
STATIC = ROOT / "bot" / "web" / "static"
ELSEWHERE = {
    "login",
    "welcome",
    "account",
    "people",
    "codes",
    "totp",
    "invited",
    "page",
}  # groups of words whose pages are tested with their routes
OF_ALERTS = ("alert_problems", "alert_reasons", "alert_failures", "alert_report", "alert_proposals")
IN_CODE = {  # words that the program chooses
    ("case", "sealed_before"),
    ("directory", "abroad"),
    *(("common", why) for why in ("forbidden", "foreign_form", "insecure")),
    ("case", "answer_by"),
    ("case", "read_by"),
    ("alert", "test_mark"),
    *((group, "*") for group in ("bases", "noticed", "export", "copy", "incident", "grounds", "receivers", *OF_ALERTS)),
}
VOID = {"input", "meta", "link", "br", "hr", "img", "path", "circle"}
PAGE_WORDS = {"case.html": "case", "_queue.html": "queue"} | {
    path.name: "case" for path in TEMPLATES.glob("_*.html") if path.name not in ("_queue.html", "_macros.html")
} | {
    f"_alert_{part}.html": group
    for part, group in {"live": "alert", "head": "alert", "progress": "alert", "actions": "alert", "preview": "alert_preview"}.items()
}  # fmt: skip

every_page = pytest.mark.parametrize("name", PAGES)
every_language = pytest.mark.parametrize("language", ["vi", "en"])


# -- pages -------------------------------------------------------------------------------------------------------------


@every_language
@every_page
def test_a_page_needs_only_what_it_documents(name: str, language: str) -> None:
    """Every page renders with the documented context alone; an unknown name or word would be an error."""
    page = _read(render(name, language))
    assert page.open == [], "every element is closed"
    assert len(page.ids) == len(set(page.ids)), "every id stands once"


@every_page
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(name: str) -> None:
    """No script, style or handler in the page, no eval of htmx, no address of another host: as the content policy demands."""
    page = _read(render(name, "vi"))
    for tag, given_to in page.elements:
        assert tag != "style"
        assert not [one for one in given_to if one == "style" or one.startswith(("on", "hx-on", "hx-vals"))], tag
        assert tag != "script" or given_to["src"].startswith("/static/")
        for address in (
            given_to.get("src", ""),
            given_to.get("href", ""),
            given_to.get("action", ""),
            given_to.get("hx-get", ""),
            given_to.get("hx-post", ""),
        ):
            assert not re.match(r"[a-z]+:|//", address), address
    assert "javascript:" not in render(name, "vi")


@every_page
def test_every_form_that_changes_something_carries_the_token(name: str) -> None:
    """POST with the hidden field csrf; what is only looked at is GET and carries none."""
    for method, fields in _read(render(name, "vi")).forms:
        assert ("csrf" in fields) == (method == "post"), fields


@every_page
def test_every_field_has_a_label(name: str) -> None:
    """A label of its own, around it, or in words for those who do not see it."""
    page = _read(render(name, "vi"))
    unlabelled = [
        given_to
        for tag, given_to in page.fields
        if given_to.get("type") != "hidden"
        and not given_to.get("aria-label")
        and given_to.get("id") not in page.labelled
    ]
    assert unlabelled == []


@every_page
def test_the_words_of_a_page_hold_no_placeholder(name: str) -> None:
    """Every {name} of a text was filled in."""
    assert re.findall(r"\{[a-z]+\}", _read(render(name, "en")).text) == []


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if not page[0].startswith("_")])
def test_every_page_has_its_landmarks(name: str) -> None:
    """One heading, one main part with a way to skip to it, the language of the page, and a title."""
    page = _read(render(name, "en"))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    assert page.elements[0] == ("html", {"lang": "en"})
    assert ("a", {"class": "skip", "href": "#main"}) in page.elements


def test_a_part_is_on_its_page_under_the_id_by_which_it_is_fetched() -> None:
    """What the page of a case fetches again is there, whatever its state."""
    for name in (name for name in PAGES if name.startswith("case")):
        page = _read(render(name, "vi"))
        asked = next(given_to["hx-select-oob"] for _, given_to in page.elements if given_to.get("id") == "case")
        assert {one.removeprefix("#") for one in asked.split(",")} <= set(page.ids)


def test_nobody_reaches_a_room_without_its_permission() -> None:
    """Without a permission its link is not there; without a session there is no navigation at all."""
    assert 'href="/console/audit"' in render("queue", "vi")
    assert 'href="/console/' not in render("error-nobody", "vi").replace('href="/console/login"', "")


def test_a_sign_of_danger_is_never_a_colour_alone() -> None:
    """Each priority is a letter, a word and a shape of its own."""
    page = render("queue", "en")
    shapes = {level: re.search(rf'level {level}"><svg[^>]*>\s*<([^>]+)/>', page) for level in ("P0", "P1", "P2", "P3")}
    assert len({found[1] for found in shapes.values() if found}) == 4
    for level, meaning in words("en")["priorities"].items():
        assert re.search(rf"<b>{level}</b> <span[^>]*>{meaning}", page)


def test_what_a_person_wrote_is_harmless_on_the_page() -> None:
    """A link is shown as text that opens nothing, and a hidden turn of the line is shown as its number."""
    page = render("case", "vi")
    assert "hxxp://viec-nhe[.]example[.]com/a?b=1" in page
    assert "[U+202E]gnp[.]exe [U+200B]" in page
    assert "\u202e" not in page


def test_s_16_the_composer_asks_for_a_second_press() -> None:
    """With a warning the button says that it sends all the same and carries the confirmation; without one it does not."""
    assert re.search(r'<button[^>]*name="confirm" value="1"', render("case-warned", "vi"))
    assert 'name="confirm"' not in render("case", "vi")


def test_s_03_the_operator_of_a_silent_person_is_told_that_nothing_can_be_sent() -> None:
    """Where the person left with an exit word, the page says so at its head, and there is no box to write in."""
    told = words("vi")["case"]
    page = render("case-silent", "vi")
    assert told["presence_silent"] in page
    assert told["write_silent"] in page
    assert 'id="text"' not in page
    assert told["presence_silent"] not in render("case", "vi")


def test_s_11_a_person_who_is_not_verified_is_shown_as_such() -> None:
    """The warning stands at the head and beside the text box until the code word is given."""
    told = words("vi")["case"]
    assert told["not_verified"] in render("case-warned", "vi")
    assert told["write_unverified"] in render("case-warned", "vi")
    assert told["not_verified"] not in render("case-away", "vi")


def test_s_10_after_a_long_silence_only_the_neutral_question_can_be_sent() -> None:
    """There is no text box, but one button with its words and its hour."""
    page = render("case-away", "vi")
    assert 'id="text"' not in page
    assert "/knock" in page


def test_s_35_leaving_a_case_to_somebody_else_needs_no_reason() -> None:
    """The form has no field besides the token."""
    (fields,) = [fields for action, fields in _read(render("case", "vi")).actions if action.endswith("/skip")]
    assert fields == ["csrf"]


# -- words -------------------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_words() -> None:
    """The same groups and names in the same order, the same {names} in them, and nothing empty."""
    vi, en = words("vi"), words("en")
    assert {group: list(names) for group, names in vi.items()} == {group: list(names) for group, names in en.items()}
    for group, names in vi.items():
        for name, text in names.items():
            assert text.strip(), (group, name)
            assert en[group][name].strip(), (group, name)
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", en[group][name])), (group, name)


def test_no_word_is_named_like_a_method_of_a_mapping() -> None:
    """`w.items` in a template would be the method and not the word."""
    assert [name for names in words("vi").values() for name in names if hasattr(dict, name)] == []


def test_every_word_is_used_and_every_used_word_exists() -> None:
    """What a template names is in the files; what is in the files stands on some page."""
    known = {(group, name) for group, names in words("vi").items() if group not in ELSEWHERE for name in names}
    used = {pair for pair in _used() if pair[0] not in ELSEWHERE} | IN_CODE
    whole = {group for group, name in used if name == "*"}
    starts = {(group, name[:-1]) for group, name in used if name.endswith("_*")}
    exact = {pair for pair in used if not pair[1].endswith("*") and pair[0] != "base"}  # its title is that of any page
    assert exact <= known
    assert whole <= {group for group, _ in known}
    unused = {
        (group, name)
        for group, name in known - exact
        if group not in whole and not any(group == one and name.startswith(start) for one, start in starts)
    }
    assert unused == set()


def test_every_role_and_outcome_has_a_name() -> None:
    """The roles of the permissions and the outcomes of a case are the names of their groups."""
    permissions = load_yaml(ROOT / "content" / "policy" / "permissions.yml")["permissions"]
    assert set(words("vi")["roles"]) == {role for roles in permissions.values() for role in roles}
    assert all(len(name) <= 24 for name in words("vi")["outcomes"])
    assert all(len(name) <= 20 for name in (*words("vi")["events"], *words("vi")["purposes"], *words("vi")["requests"]))
    assert all(len(name) <= 30 for name in words("vi")["audit_actions"])


def _used() -> Iterator[tuple[str, str]]:
    """(group, name) of every word that a template names; "*" and "start_*" where the name is made at run time."""
    for path in TEMPLATES.glob("*.html"):
        text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        page = PAGE_WORDS.get(path.name, path.stem)
        for letter, group in (("w", page), ("c", "common")):
            yield from ((group, name) for name in re.findall(rf"\b{letter}\.(\w+)", text))
            yield from ((group, f"{start}*") for start in re.findall(rf'\b{letter}\["(\w+_)" ~', text))
        yield from ((group, "*") for group in re.findall(r"\bwords\.(\w+)(?:\[|\.items|\.get)", text))
        if path.name == "error.html":  # w[error], w[error ~ "_do"]
            yield from (
                ("error", f"{error}{end}")
                for error in ("forbidden", "missing", "conflict", "trouble")
                for end in ("", "_do")
            )


# -- what others wrote, and times --------------------------------------------------------------------------------------

LINKS = st.from_regex(
    r"(https?://|HTTP://|www\.|)[a-z0-9-]{1,8}(\.|。|．|｡)[a-z]{2,4}(/[a-z?=.]{0,6})?", fullmatch=True
)


@given(st.lists(st.one_of(st.text(max_size=20), LINKS), max_size=6).map(" ".join))
def test_no_address_and_no_hidden_character_survives(text: str) -> None:
    """Whatever was written, nothing on the page can be opened by a program or hides from the eye; doing it twice changes nothing."""
    shown = defanged(visible(text))
    assert not re.search(r"https?://", shown, re.IGNORECASE)
    assert not re.search(r"[^\s.。．｡](?:[.。．｡])(?=[^\W\d_])", shown)
    assert not [
        one for one in shown if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and one not in "\n\t"
    ]
    assert defanged(visible(shown)) == shown


@given(st.text(alphabet=st.characters(categories=["Ll", "Lu", "Zs"]), max_size=60))
def test_plain_words_stay_as_they_are(text: str) -> None:
    """Letters and spaces of any language are not touched."""
    plain = text.replace("\u115f", "").replace("\u1160", "")
    assert defanged(visible(plain)) == plain


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("vao http://a-b.com/x.y?z", "vao hxxp://a-b[.]com/x[.]y?z"),
        ("HTTPS://bit.ly/abc", "HxxPS://bit[.]ly/abc"),
        ("t.me/viecnhe va zalo.me", "t[.]me/viecnhe va zalo[.]me"),
        ("tg://resolve?domain=x", "tg[:]//resolve?domain=x"),
        ("luong 20.000.000 dong. di lien", "luong 20.000.000 dong. di lien"),
        ("cho em hoi... co nen di k", "cho em hoi... co nen di k"),
        ("a\u200bb.com \u202efdp.exe", "a[U+200B]b[.]com [U+202E]fdp[.]exe"),
        ("dong 1\r\ndong 2\x07", "dong 1\ndong 2[U+0007]"),
        ("Đắk Lắk, ở Lào", "Đắk Lắk, ở Lào"),
    ],
)
def test_what_is_written_and_what_is_shown(written: str, shown: str) -> None:
    """Addresses are broken, figures and Vietnamese stay, and what cannot be seen is named."""
    assert defanged(visible(written)) == shown


def test_times_are_those_of_viet_nam() -> None:
    """Midnight in London is seven in the morning; the year stands where it is asked for."""
    moment = dt.datetime(2026, 12, 31, 23, 5, tzinfo=dt.UTC)
    assert local(moment) == "06:05 01/01"
    assert local(moment, year=True) == "06:05 01/01/2027"
    assert day(dt.date(2026, 2, 3)) == "03/02/2026"


# -- what the browser is given -----------------------------------------------------------------------------------------


def test_htmx_is_held_to_the_policy() -> None:
    """It evaluates nothing, writes no style, asks no other host and keeps no page."""
    page = render("queue", "vi")
    for setting in (
        '"allowEval":false',
        '"includeIndicatorStyles":false',
        '"selfRequestsOnly":true',
        '"historyCacheSize":0',
        '"allowScriptTags":false',
    ):
        assert setting in page


def test_the_script_keeps_nothing_of_a_case() -> None:
    """What outlives a page in the browser is whether bell and shortcuts are on and which P0 are silenced; never words."""
    script = (STATIC / "console.js").read_text(encoding="utf-8")
    assert set(re.findall(r'Storage\.(?:set|get)Item\("(\w+)"', script)) == {"bell", "silenced", "shortcuts"}
    assert not re.search(r"\beval\b|innerHTML|document\.write|indexedDB|document\.cookie", script)


# -- helpers -----------------------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """What the tests look at: elements, forms with their fields, labels, ids, text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.actions: list[tuple[str, list[str]]] = []
        self.forms: list[tuple[str, list[str]]] = []
        self.fields: list[tuple[str, dict[str, str]]] = []
        self.labelled: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_to = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given_to))
        if "id" in given_to:
            self.ids.append(given_to["id"])
        if tag not in VOID:
            self.open.append(tag)
        if tag == "label":
            self.labelled.add(given_to.get("for", ""))
        if tag == "form":
            fields: list[str] = []
            self.forms.append((given_to["method"], fields))
            self.actions.append((given_to.get("action", ""), fields))
        if tag in ("input", "select", "textarea"):
            if "label" not in self.open:
                self.fields.append((tag, given_to))
            if "form" in self.open and "name" in given_to:
                self.forms[-1][1].append(given_to["name"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    page.close()
    return page
