"""Pairs that were once taken for each other, in words that no training sentence has; each also without its diacritics."""

import pytest

from bot.app import App
from bot.letters import fold

KINDS = {
    "children moved now, seen by a witness": (
        "emergency",
        (
            "Tôi thấy một xe 16 chỗ đang chở mấy cháu gái nhỏ lên cửa khẩu Tân Thanh",
            "tôi đang thấy ba đứa trẻ bị hai người lạ kéo lên xe ở bến xe Lào Cai",
            "ngay trước mặt em có bà dắt 4 bé gái qua cầu sang bên Trung Quốc, mấy bé khóc",
            "bây giờ có người đang đưa mấy đứa nhỏ xuống ghe qua bên kia sông",
            "cháu thấy ông lạ chở bé gái hàng xóm đi hướng cửa khẩu vừa xong",
            "I can see a van right now with little girls inside going to the border",
        ),
    ),
    "the same, long ago or from hearsay": (
        "report",
        (
            "tuần trước tôi thấy xe chở mấy cháu gái nhỏ lên cửa khẩu",
            "hay thấy xe chở trẻ con lên biên giới ban đêm, mấy anh coi giùm",
            "nghe người ta kể hồi trước ở đây hay có xe chở trẻ con lên biên giới",
        ),
    ),
    "told by somebody, it is an offer": (
        "offer",
        (
            "chị hàng xóm nói có viện dưỡng lão bên Đức tuyển điều dưỡng, học tiếng B1 trước, có hợp đồng",
            "có viện dưỡng lão ở Đức nhận em qua học nghề, trợ cấp 1100 euro, phải có B1",
            "bà mối dẫn chồng Hàn về xem mặt, đóng 30 triệu, tháng sau cưới",
            "em 14 tuổi có chị rủ đi làm quán ở Móng Cái được không",
            "anh quen facebook rủ lên Lào Cai làm quán cà phê lương 12 triệu",
        ),
    ),
    "a child is out overnight, and nothing tells of force": ("report", ("con gái tôi đi từ tối qua chưa về",)),
    "somebody was cheated": (
        "report",
        ("nó lừa đảo em rồi, nhắn tin đòi tiền phiền quá", "cái bà đó lừa đảo cả xóm, nhắn đòi tiền hoài, tôi tố cáo"),
    ),
}
ANSWERS = {
    "verify_agency/licensed_for_this_market": (
        "cty có giấy phép bộ cấp rồi vậy đưa đi nhật là yên tâm phải ko",
        "công ty có giấy phép xklđ rồi thì đi Đức có chắc chắn không",
    ),
    "wages_withheld/sea_crew": (
        "chồng tôi đi tàu đánh cá đài loan 8 tháng nay chủ tàu ko gửi lương về",
        "anh tui đi tàu viễn dương, mấy tháng nay công ty không chuyển tiền lương",
    ),
    "marriage_abroad/broker": (
        "Bà mai nói đóng 30 triệu sẽ kiếm chồng Hàn cho, làm vậy có đúng luật không",
        "mai mối lấy tiền giới thiệu chồng Đài Loan như vậy có hợp pháp không",
    ),
    "minors/missing_child": ("trẻ đi lạc thì phải chờ bao lâu công an mới nhận tin báo",),
    "minors/work_age": ("em mới 14t có đi làm được ko", "15 tuổi được đi làm chưa ạ"),
    "report_how/anonymous": (
        "tôi muốn báo người lừa bán cháu tôi nhưng sợ họ biết tôi báo",
        "báo công an vụ lừa đi Cam thì có giấu tên được không",
    ),
    "trafficking_signs/online_lover": (
        "quen bạn trai qua facebook 3 tháng, giờ ảnh rủ lên Lào Cai chơi",
        "người yêu quen trên zalo hẹn em lên Lạng Sơn chơi mấy ngày, có nên đi không",
    ),
}
NO_TOPIC = ("vậy giờ nó nên làm gì", "vậy giờ nó phải làm sao", "vậy là đủ chưa", "thế đã đủ chưa ạ")
SHOWS_AND_LACKS = (
    ("cần người đi tàu cá ở Cà Mau, ứng trước 15 triệu, ko cần giấy tờ, lên xe đi liền tối nay",
     "debt_advance urgency no_contract", "illegal_route"),
    ("đi Trung Quốc làm xưởng không cần giấy tờ, tối nay lên xe đi liền", "illegal_route urgency", "no_contract"),
    ("qua Cam làm không cần giấy tờ gì hết, tới nơi có người đón", "illegal_route", "no_contract"),
    ("họ rủ đi Úc hái nho lương 60 triệu, phí 300 triệu", "upfront_fee", "minor"),
    ("qua Campuchia làm văn phòng, họ lo hết hộ chiếu, lương 20 triệu", "scam_compound_destination", "document_retention"),
    ("họ lo hộ chiếu cho em rồi cầm luôn, qua Lào làm quán", "document_retention", "illegal_route"),
    ("chỉ cần gửi cccd 2 mặt + ảnh là nhận việc gấp giấy tại nhà lương 8 triệu", "", "document_retention stranger_recruiter"),
    ("phải gửi cccd gốc cho họ giữ mới nhận việc, lương 9 triệu", "document_retention", "illegal_route"),
    ("Lấy chồng Trung Quốc, nhà trai giàu, không cần học tiếng, cưới trong 2 tuần",
     "marriage_broker urgency", "no_skills_needed unrealistic_pay"),
    ("bà mai nói lấy chồng Đài sướng lắm, nhà giàu, chồng cho tiền tiêu thoải mái, tuần sau coi mắt",
     "marriage_broker", "unrealistic_pay"),
    ("lấy chồng Hàn qua mai mối, qua đó làm công ty lương gấp ba ở nhà", "marriage_broker unrealistic_pay", "no_contract"),
    ("chồng em đi tàu cá Đài Loan 8 tháng nay không gọi về được lần nào", "isolation_no_contact", "wage_withheld"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind, texts in KINDS.values() for text in texts],
)
def test_the_kind_is_told_apart(kind: str, text: str, reader: App) -> None:
    """Now or long ago, told or asked, done to oneself or shouted at the bot."""
    assert {reader.interpreter.read(form).kind for form in (text, fold(text))} == {kind}


@pytest.mark.parametrize(("answer", "text"), [(answer, text) for answer, texts in ANSWERS.items() for text in texts])
def test_the_question_is_told_apart(answer: str, text: str, reader: App) -> None:
    """A question stays one, although its words are those of an offer or a report."""
    for form in (text, fold(text)):
        reading = reader.interpreter.read(form)
        assert reading.kind == "question", (form, reading.kind)
        best = next(name for name, _ in reading.candidates if name.startswith(f"{reading.topic}/"))
        assert best == answer, (form, reading.candidates[:3])


@pytest.mark.parametrize("text", NO_TOPIC)
def test_words_without_a_matter_get_no_sure_topic(text: str, reader: App) -> None:
    """ "What should he do now" says nothing by itself: no answer about something in particular."""
    for form in (text, fold(text)):
        reading = reader.interpreter.read(form)
        assert reading.topic == "other" or reading.confidence < reader.config.bot.nlu.sure, (
            form,
            reading.candidates[:3],
        )


@pytest.mark.parametrize(("text", "shows", "lacks"), SHOWS_AND_LACKS)
def test_a_flag_is_seen_and_its_lookalike_is_not(text: str, shows: str, lacks: str, reader: App) -> None:
    """Copies are not papers kept, a boat at home crosses no border, a matchmaker's praise is no pay."""
    for form in (text, fold(text)):
        flags = set(reader.interpreter.read(form).flags)
        assert set(shows.split()) <= flags, (form, flags)
        assert not set(lacks.split()) & flags, (form, flags)


@pytest.mark.parametrize(
    "text", ["đồ lừa đảo, nhắn tin phiền quá", "thứ lừa đảo cút đi", "bot lừa đảo, suốt ngày nhắn tin"]
)
def test_a_curse_at_the_bot_is_no_report(text: str, reader: App) -> None:
    """Anger at the bot accuses nobody else."""
    readings = [reader.interpreter.read(form) for form in (text, fold(text))]
    assert {reading.kind for reading in readings} == {"chat"}
    assert {reading.topic for reading in readings} <= {"abuse", "stop"}


@pytest.mark.parametrize(
    "text",
    [
        "xe trường đang chở các em nhỏ lên cửa khẩu Hữu Nghị tham quan",
        "đọc báo thấy đang có xe chở trẻ em qua biên giới bán, sợ ghê",
        "năm ngoái trong bản có 2 cháu gái bị đưa lên cửa khẩu, công an bắt rồi",
        "tôi đang ở cửa khẩu với hai con nhỏ, thủ tục qua Lào thăm ông bà cần gì",
        "chồng tôi đang chở con bé đi khám ở Lạng Sơn",
    ],
)
def test_children_on_the_way_are_not_always_in_danger(text: str, reader: App) -> None:
    """A school trip, the news, last year, one's own family."""
    assert "emergency" not in {reader.interpreter.read(form).kind for form in (text, fold(text))}
