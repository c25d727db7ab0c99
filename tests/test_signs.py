"""What speaks for an offer: only what the person did or what can be looked up, not what an advertisement says of itself."""

import pytest

from bot.app import App
from bot.letters import fold

LOOKED_UP = (
    "em tra rồi công ty có tên trong danh sách dolab, đi Đài Loan 22 triệu",
    "tôi đã lên trang dolab xem, công ty này có giấy phép, đi Nhật làm cơ khí lương 28 triệu, có hợp đồng",
    "em hỏi Sở Nội vụ rồi, cty có phép, đi Đài Loan làm điện tử lương 22 triệu",
    "con tôi vào trang dolab xem thấy có tên công ty rồi, đi Nhật 27 triệu, có hợp đồng",
    "bạn em kiểm tra trên web dolab thấy công ty có phép, đơn Đài Loan 22 triệu",
    "I looked it up on dolab and the company is on the list, Taiwan factory, 700 dollars",
)
ONLY_SAID = (
    "Tuyển lao động đi Đài Loan, giấy phép số 123/LĐTBXH, lương 20 triệu, hợp đồng 3 năm",
    "công ty em giới thiệu có giấy phép số 77 của Bộ Lao động, tuyển nữ may Nhật, lương 25tr",
    "họ quảng cáo là công ty có giấy phép do bộ cấp, đi Hàn hái táo lương 40 triệu",
    "anh kia nói công ty có giấy phép, đi Nhật lương 30 triệu, nộp 20 triệu",
    "họ cho xem giấy phép, đi Đài Loan 22 triệu, hợp đồng 3 năm",
    "công ty trả lương 22 triệu, có giấy phép, đi Đài Loan",
    "tôi có trả tiền rồi, công ty bảo có giấy phép, đi Hàn",
    "em tra rồi mà không thấy tên công ty trên dolab, họ vẫn thu hồ sơ đi Đài Loan",
    "nhờ bạn tra giúp công ty này có phép không, đơn Nhật 25 triệu",
    "they send workers through a licensed company, factory in Taiwan, 700 dollars a month",
)
STATE = (
    "xã thông báo tuyển đi Hàn hái dâu theo thoả thuận với tỉnh, có hợp đồng",
    "Sở Nội vụ thông báo tuyển đi Hàn theo EPS",
    "em nộp hồ sơ đi Nhật theo IM Japan ở Sở Nội vụ",
)
NOT_STATE = (
    "trung tâm giới thiệu việc làm Hoàng Gia tuyển nữ phụ quán lương 12 triệu",
    "xưởng may ở Vinh tuyển công nhân, lương 7 triệu, có bảo hiểm, hợp đồng 1 năm",
    "công ty ở huyện Yên Phong tỉnh Bắc Ninh tuyển công nhân 8 triệu, có hợp đồng",
    "công ty may ở tỉnh tuyển 100 công nhân, lương 8 triệu, đóng bảo hiểm",
    "em làm xa nhà, có chỗ giới thiệu làm kho 8 triệu",
    "số lạ giới thiệu làm online 10 triệu",
    "em được trung tâm dịch vụ việc làm tỉnh giới thiệu vô Samsung lương 9 triệu",
)
WITH_NEIGHBOURS = (
    "hái vải Bắc Giang 3 tuần lương 350k ngày bao ăn ở, đi cùng bà con trong xã",
    "hai ca phe dak lak 2 thang, 300k ngay, di chung voi may co trong xom",
    "đi cắt mía Tây Ninh cùng cả nhóm trong ấp, chủ trả công 280k một ngày bao cơm",
)


@pytest.mark.parametrize("offer", LOOKED_UP)
def test_a_licence_counts_that_the_person_looked_up(offer: str, reader: App) -> None:
    """By the person or their family, on the register or at the office."""
    for signs in (_signs(reader, offer), _signs(reader, fold(offer))):
        assert "licence_checked" in signs
        assert "licence_claimed" not in signs


@pytest.mark.parametrize("offer", ONLY_SAID)
def test_a_licence_that_is_only_claimed_does_not_count(offer: str, reader: App) -> None:
    """An advertisement's own number, a recruiter's word, a search that found nothing."""
    assert "licence_checked" not in _signs(reader, offer) | _signs(reader, fold(offer))


def test_the_claim_itself_is_a_sign_of_its_own(reader: App) -> None:
    """It is named as their word, and the register still has to be asked."""
    assert "licence_claimed" in _signs(reader, ONLY_SAID[0]) & _signs(reader, ONLY_SAID[-1])
    assert "licence_claimed" not in _signs(reader, "em chưa biết công ty có giấy phép không, đi Nhật lương 25 triệu")


@pytest.mark.parametrize("offer", STATE)
def test_a_state_programme_is_credited(offer: str, reader: App) -> None:
    """EPS, IM Japan, or an announcement of the commune."""
    assert "state_programme" in _signs(reader, offer) & _signs(reader, fold(offer))


@pytest.mark.parametrize("offer", NOT_STATE)
def test_a_place_name_or_a_job_centre_is_no_state_programme(offer: str, reader: App) -> None:
    """A factory in a province is not the province; a centre that finds jobs at home sends nobody abroad for the state."""
    assert "state_programme" not in _signs(reader, offer) | _signs(reader, fold(offer))


@pytest.mark.parametrize("offer", WITH_NEIGHBOURS)
def test_seasonal_work_at_home_with_the_neighbours_is_low(offer: str, reader: App) -> None:
    """People of the same village vouch for work inland that shows no flag."""
    readings = [reader.interpreter.read(text) for text in (offer, fold(offer))]
    assert ["with_neighbours" in reading.signs for reading in readings] == [True, True]
    assert [reader.risk_of(reading) for reading in readings] == ["low", "low"]


def test_neighbours_vouch_for_nothing_abroad(reader: App) -> None:
    """Whole villages have been led over the border together."""
    assert "with_neighbours" not in _signs(reader, "đi Campuchia làm văn phòng cùng mấy anh trong xóm, lương 20 triệu")


def _signs(reader: App, text: str) -> set[str]:
    return set(reader.interpreter.read(text).signs)
