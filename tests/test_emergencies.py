"""S-26: no cry for help is missed, in any spelling or language, and calm talk is no cry. S-23: who is under 18 is seen."""

import pytest

from bot.app import App
from bot.conversation.forms import with_reading
from bot.conversation.state import Slots
from bot.letters import fold

CRIES = {
    "spelled in full": (
        "Cứu em với, em bị nhốt trong phòng không ra được",
        "Chị ơi em đang bị giữ ở Bavet, họ không cho em về",
        "Tụi em bị khóa trái cửa, ngoài cổng có bảo vệ cầm roi điện",
        "Họ vừa đánh em gãy tay vì không đủ chỉ tiêu, cứu em",
        "Em bị bán sang công ty khác, tối nay họ chuyển em đi",
        "Họ bắt tụi em lừa người trên mạng, ai không làm thì bị chích điện",
        "Em đang ở trên xe, họ thu hết điện thoại, nói chở qua biên giới",
        "Chủ tàu không cho tôi lên bờ, đòi đánh nếu tôi bỏ việc",
        "Tôi bị nhốt trong quán karaoke ở Bình Dương, họ bắt tiếp khách",
        "Họ đòi 120 triệu mới thả em ra, em đang ở Sihanoukville",
        "Em không muốn sống nữa, họ nhốt em ba tháng rồi",
        "Ông chủ khóa cửa mỗi tối và vào phòng em, em sợ lắm, giúp em",
    ),
    "without diacritics": (
        "cuu em voi em bi nhot o campuchia",
        "em dang bi giu o tam giac vang ho khong cho ve",
        "bon em 7 nguoi bi nhot trong toa nha khong ra ngoai duoc",
        "ho danh em bo doi em 2 ngay nay roi",
        "dang tren xe qua bien gioi em so qua ho lay het dien thoai roi",
        "ho bat dong 150 trieu moi cho ve neu khong ho ban sang myanmar",
        "cua khoa ngoai co nguoi canh em khong ra duoc",
        "no xich chan em lai trong nha bep",
        "toi bi giam long tren tau ca o kien giang chu tau khong cho len bo",
        "em bi dua qua song dem nay khong biet di dau cuu em",
        "chu nha ben a rap nhot toi trong phong ba ngay khong cho an",
        "giup toi thoat khoi day voi toi bi ep tiep khach",
    ),
    "in teencode": (
        "cuu e vs e bi nhot r",
        "e dg bi giu o cam, ko ra dc, cuu e",
        "bn e bi bat lm lua dao, ko lm no chich dien",
        "no ban e sang cty khac toi nay r a oi",
        "e ko ra ngoai dc co bve canh suot",
        "ho doi 5k do ms cho e ve, e dg o cpc",
        "tui e bi no danh vs bo doi 2 ngay r",
        "c oi cuu e, no khoa cua nhot e tr phong",
        "e k muon song nua dau c oi",
        "no thu het dt hc r, nhot tui e o lau 5",
    ),
    "very short": (
        "cứu",
        "cuu",
        "cuu em",
        "Cứu tôi!!!",
        "SOS",
        "help me",
        "bị nhốt",
        "cuu voi a oi",
        "em bi nhot",
        "no danh em",
        "cửa khóa, có người canh",
        "🆘🆘",
    ),
    "coded or whispered": (
        "đừng gọi lại. nt thôi. nó cầm máy suốt",
        "dung rep nua no sap ve em muon may len",
        "cho em đặt một phần cơm tới khu B lầu 4, đừng gọi, đến nhanh nha",
        "1-1-3",
        "em trốn trong toilet nhắn nè, gọi công an giùm em",
        "không nói được, nó đứng ngay sau lưng",
        "nhan len xiu thoi, no ma thay la no danh em chet",
        "alo cong an, dung goi lai so nay, toi dang bi giu",
    ),
    "of relatives": (
        "Con gái tôi bị nhốt ở Campuchia, họ đòi 100 triệu chuộc",
        "chong toi goi ve khoc noi bi danh, ben do dong tien moi tha",
        "Em trai cháu nhắn cầu cứu từ Myawaddy rồi tắt máy luôn",
        "Cháu tôi 14 tuổi vừa leo lên xe của người lạ, gọi không bắt máy",
        "con toi mat tich tu sang nay, co nguoi noi thay no bi dua qua trung quoc",
        "Bạn em đang bị giữ trong sòng bài ở Bavet, nó nhắn cứu",
        "vo toi bi ep lay chong ben trung quoc, gio bi khoa trong nha khong ra duoc",
        "con e bi ngta bat, no gui clip bi chich dien doi tien chuoc",
        "Chị tôi giúp việc bên Ả Rập bị chủ đánh, nhốt trong nhà không cho ra ngoài",
        "thang em toi goi bao dang bi cho di bang ghe qua ben kia, no khong muon di",
    ),
    "in English": (
        "Please help, they locked me in and took my phone",
        "I am being held in a compound in Cambodia, they beat us",
        "They sold me to another company, I can't leave",
        "my sister is locked in a house in Bavet they want 5000 dollars to let her go",
        "we are trapped here, guards outside, please send police",
        "I want to die, they shock us with electricity every day",
    ),
    "in Lao, Thai, Khmer or Chinese": (
        "ຊ່ວຍຂ້ອຍແດ່ ຂ້ອຍຖືກຂັງຢູ່ຄາຊິໂນ",
        "ຊ່ວຍດ້ວຍ",
        "ພວກເຂົາຕີຂ້ອຍ ບໍ່ໃຫ້ຂ້ອຍອອກໄປ",
        "ช่วยด้วย หนูถูกขังอยู่ในตึก",
        "ช่วยฉันด้วย",
        "พวกเขาทำร้ายผม ไม่ให้ออกไปไหน",
        "ជួយខ្ញុំផង គេឃុំខ្ញុំនៅប៉ោយប៉ែត",
        "គេវាយខ្ញុំ មិនឲ្យខ្ញុំចេញទេ",
        "救命",
        "我被关在园区里，救救我",
    ),
}
RED_SET = [cry for cries in CRIES.values() for cry in cries]

CALM = (
    "chị ơi cho em hỏi xuất khẩu lao động Nhật cần gì",
    "cười chết mất thôi, cảm ơn bạn nha",
    "cứu bồ cái, mai em thi EPS mà chưa thuộc từ vựng",
    "cuu net rank nay voi anh em oi",
    "Nghe tin công an vừa giải cứu 59 người ở Campuchia, đường dây đó lừa kiểu gì vậy?",
    "Mua bán người bị phạt bao nhiêu năm tù?",
    "Theo luật thì giữ người trái phép là tội gì",
    "Con tôi đã về nhà an toàn rồi, giờ xin hỗ trợ học nghề ở đâu",
    "toi duoc giai cuu nam ngoai gio muon xin giay xac nhan nan nhan",
    "số điện thoại đại sứ quán Việt Nam ở Campuchia là gì",
    "tổng đài 111 gọi có mất tiền không",
    "em từ từ suy nghĩ đã, mai em trả lời",
    "đi bán vé số bên Thái lương 20 triệu có thật không",
    "lương tháng này chậm 10 ngày thì kêu ai",
    "công ty giữ hộ chiếu có đúng luật không",
    "thời tiết Đà Lạt hôm nay sao",
    "kết quả xổ số miền Nam hôm nay",
    "làm ca đêm có được nghỉ bù không",
    "hợp đồng lao động phải có những gì",
    "cho em hỏi học tiếng Hàn ở Nghệ An chỗ nào rẻ",
    "đi Đài Loan làm nhà máy điện tử phí bao nhiêu là đúng",
    "muốn ly hôn chồng Hàn thì thủ tục sao",
    "chào bạn",
    "cảm ơn",
    "bot là ai vậy",
    "dấu hiệu bị lừa đi nước ngoài là gì",
    "lỡ bị nhốt thì gọi số nào trước",
    "nếu bị chủ đánh bên Nhật thì báo ai",
    "ko biet cty nay co phep ko, tra o dau",
    "tuyen 50 nu may bao hiem day du luong 9tr khu cong nghiep Que Vo",
    "trâu nhà em bị xích chân đau thì chữa sao",
    "cửa hàng em khóa cửa lúc mấy giờ thì đăng ký giờ mở cửa ở đâu",
    "nóng chết được, quạt nào tốt",
    "phim giải cứu con tin hay nhất là phim nào",
    "game này bị nhốt trong hầm qua màn sao",
    "How long can I stay in Japan as a technical intern?",
    "Is it legal for an employer to keep my passport?",
    "Thanks for your help",
    "สวัสดีค่ะ",
    "你好",
)

UNDER_18 = (
    "em 15 tuổi, có chị rủ đi Thái bán vé số lương 20 triệu, đi được không",
    "e 16t co ng ru di lam quan cafe o bien gioi luong 15tr",
    "Cháu mười bảy tuổi, người ta tuyển cháu đi làm karaoke bao ăn ở",
    "chau hoc lop 9, co anh tren tiktok ru di campuchia choi game luong cao",
    "con gái tôi học lớp 10, có người rủ nó đi Trung Quốc làm nail lương 30 triệu",
    "con tôi mới 14 tuổi bị rủ đi làm ở Tam Giác Vàng",
    "thang be nha toi 16 tuoi theo ban di sai gon lam quan nhau luong 10 trieu",
    "em chua du 18 tuoi ma ho noi lam giay to gia cho di lao",
    "em chưa đủ tuổi, họ bảo sẽ khai thêm tuổi để làm hộ chiếu đi Đài Loan",
    "em 17 tuoi ruoi, ho bao lo duoc visa di han luong 50tr",
    "cháu đang học cấp 2, có cô trên Facebook rủ đi làm quán ăn bên Lào",
    "con em hoc lop tam bi nguoi la nhan tin ru bo hoc di lam luong 20 trieu",
    "Cháu gái tôi mười lăm tuổi, có bà mối đòi gả sang Trung Quốc 150 triệu",
    "e 15 mà cty kia vẫn nhận đi làm online bên cam, lương 1000 đô",
    "tụi em 16, 17 tuổi được rủ đi bốc vác bên Lào lương 15 triệu",
    "I am 16 and a man on Facebook offered me a job in Cambodia, 900 dollars a month",
    "my 15-year-old daughter was offered work in a Thai casino",
    "em trai 13 tuổi của cháu bị dụ đi lượm ve chai ở Sài Gòn, họ giữ tiền",
    "em sinh năm 2012, họ rủ em đi phục vụ quán bar ở Móng Cái lương 25 triệu",
    "co be 14t nha ben bi dan di lay chong trung quoc",
    "Em nữ 17t ở bản, chị kia nói đi làm móng tay bên Trung lương 25tr",
    "cháu tuổi 16 đang nghỉ học, anh quen trên Zalo rủ qua Bavet làm máy tính",
    "tôi có đứa con trai mười sáu tuổi đòi theo bạn đi Bavet làm, bạn nó nói lương 1000 đô",
    "hoc sinh lop 11 co nguoi ru di nhat lam lam them, bao lo het giay to",
    "họ tuyển em làm người mẫu nhí, em mới 12 tuổi, họ nói đừng kể với mẹ",
    "con gai toi lop 8, thang quen tren mang hen ra ben xe don di lam",
    "em mới mười ba tuổi mà dì rủ đi rửa chén ở biên giới",
    "cháu còn vị thành niên, người ta rủ làm tiếp viên ở Sihanoukville",
    "be nha tui 15t no bo nha di theo thang quen tren mang noi di lam luong cao",
    "e hs lop 12 moi 17t, ho keu bo thi qua mien lam cskh luong 25tr",
)

GROWN_UP = (
    "tôi hai mươi ba tuổi, có người rủ đi Thái bán vé số lương 20 triệu",
    "chồng tôi ba mươi lăm tuổi, người ta rủ sang Lào làm, lương 20 triệu",
    "họ nói lương 15t một tháng, bên Lào, bao ăn ở",
    "em 18 tuổi rồi, đi Đài Loan làm nhà máy lương 25 triệu, ai giới thiệu cũng được phải không",
    "tôi 35 tuổi, có người rủ sang Lào bán hàng lương 20 triệu",
    "tuyển nam nữ từ 18 đến 35 tuổi, lương 10 triệu, bao ăn ở",
    "em làm được 15 ngày thì họ rủ qua Campuchia lương 20 triệu",
    "lương 16 triệu, làm 12 tháng, bên Thái, người lạ rủ trên Facebook",
    "họ rủ đi 17 người, mai lên xe qua Lào làm, lương 20 triệu",
)


@pytest.mark.parametrize("cry", RED_SET)
def test_s_26_a_cry_for_help_is_found(cry: str, reader: App) -> None:
    """Whoever is in danger now is heard, however it is written."""
    assert reader.interpreter.read(cry).kind == "emergency"


@pytest.mark.parametrize("cry", CRIES["spelled in full"] + CRIES["of relatives"])
def test_s_26_a_cry_is_found_without_its_diacritics_and_in_capitals(cry: str, reader: App) -> None:
    """A cheap phone drops the marks, a frightened hand leaves the capitals on: neither hides a cry."""
    kinds = {form: reader.interpreter.read(form).kind for form in (fold(cry), cry.upper(), fold(cry).upper())}
    assert set(kinds.values()) == {"emergency"}, kinds


def test_s_26_the_red_set_is_whole() -> None:
    """Eighty cries at least, none twice, and at least forty calm sentences beside them."""
    assert len(set(RED_SET)) == len(RED_SET) >= 80
    assert len(set(CALM)) >= 40


@pytest.mark.parametrize("sentence", CALM)
def test_s_26_calm_talk_is_no_cry(sentence: str, reader: App) -> None:
    """News, law, figures of speech, and people who are back home do not wake the person on duty."""
    assert reader.interpreter.read(sentence).kind != "emergency"


@pytest.mark.parametrize("sentence", UNDER_18)
def test_s_23_being_under_18_is_seen(sentence: str, reader: App) -> None:
    """An age, a school year or "not yet of age" raises the flag `minor`, in figures or in words."""
    reading = reader.interpreter.read(sentence)
    assert reading.age_minor, (reading.kind, dict(reading.flags))


def test_s_23_there_are_thirty_ways_to_say_it() -> None:
    """At least thirty phrasings are tried, none twice."""
    assert len(set(UNDER_18)) >= 30


@pytest.mark.parametrize("sentence", GROWN_UP)
def test_s_23_grown_ups_and_other_figures_are_no_minors(sentence: str, reader: App) -> None:
    """An adult's age, days, months and a number of people do not make a child of anyone."""
    assert not reader.interpreter.read(sentence).age_minor


WHERE = (
    "em o nghe an",
    "em dang o dai loan",
    "Em ở Cao Bằng ạ",
    "dạ tụi em đang làm ở Đài Loan",
    "nha em o ca mau",
    "toi song ben lao",
)


@pytest.mark.parametrize("sentence", WHERE)
def test_s_21_where_somebody_is_is_no_cry(sentence: str, reader: App) -> None:
    """A place alone, as it is told when the bot asks for one."""
    assert reader.interpreter.read(sentence).kind != "emergency"


def test_a_long_message_about_a_place_is_read_at_once(reader: App) -> None:
    """Words of a place, over and over, then one that is none: nothing is tried in every combination."""
    assert reader.interpreter.read("em o nghe an " + "nha o que " * 400 + "het").language == "vi"


@pytest.mark.parametrize("sentence", ["cuu em o nghe an", "em bi nhot o dai loan", "em o kk park khong ra duoc"])
def test_s_26_a_cry_with_a_place_is_one(sentence: str, reader: App) -> None:
    assert reader.interpreter.read(sentence).kind == "emergency"


def test_s_26_a_province_named_by_the_way_brings_nobody_home(reader: App) -> None:
    """Who is held abroad and says where the mother lives still needs the numbers of the country abroad; who names a province with the
    danger itself is there."""
    held = with_reading(Slots(), reader.interpreter.read("cuu em bi nhot o campuchia"), reader.library)
    assert held.country == "KH"
    assert with_reading(held, reader.interpreter.read("me em o ca mau"), reader.library).country == "KH"
    assert with_reading(held, reader.interpreter.read("em bi nhot o tay ninh roi"), reader.library).country == "VN"


@pytest.mark.parametrize(
    "cry", ["cuuem voi em binhot", "ho khongcho ve", "em bi nhit trong phong", "bi dnah hoai cuu em"]
)
def test_s_26_a_cry_with_slips_of_the_finger_is_found(cry: str, reader: App) -> None:
    """Letters swapped, doubled or wrong, and spaces forgotten by hands that shake."""
    assert reader.interpreter.read(cry).kind == "emergency"
