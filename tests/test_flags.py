"""The 27 red flags: sentences that show each, in many spellings, and harmless ones that share its words.

What counts is the labelling guide: only what the text says or plainly implies.
"""

import re

import pytest

from bot.app import App
from bot.understanding.cues import Cue
from bot.understanding.normalise import Normaliser
from tests.conftest import ROOT

METACHARACTERS = re.compile(r"[\\()|?*+\[\].^$]")

SHOWS = {
    "unrealistic_pay": (
        "Họ rủ đi Thái bán vé số, lương 20 triệu một tháng",
        "tuyen nguoi qua lao boc vac luong 25tr/thang",
        "e dc ru qua cam lm online lg 1000 do",
        "Có việc bên Trung Quốc lương 15-20 củ, chị có nên đi không",
        "Anh kia hứa lương gấp đôi ở nhà, sang Philippines làm",
        "việc nhẹ ở Sài Gòn, phục vụ quán, lương 30 triệu",
        "they offer $900 a month for a waitress job in Laos",
        "làm nhiệm vụ online trả 500k/ngày, chỉ cần điện thoại",
        "ho tuyen nguoi di giup viec o a rap luong hai muoi lam trieu",
    ),
    "vague_job": (
        "Họ nói sang Thái lương 20 triệu, việc gì thì tới nơi mới nói",
        "ru di lam ben lao ma ko noi lam gi",
        "e dc moi di lam cong ty ben cam, hoi cty j thi ko noi",
        "Anh kia bảo cứ đi rồi biết, làm việc nhẹ thôi, lương cao",
        "có người rủ đi nước ngoài làm, hỏi làm gì họ chỉ cười",
        "tuyen nguoi di lam xa, cong viec se noi sau, bao an o",
    ),
    "no_contract": (
        "Chủ quán nói không cần hợp đồng, qua Lào làm rồi trả lương",
        "ho ru di han hai rau, chi noi mieng khong co hop dong",
        "đi làm bên Thái lương 18 triệu mà k có hđ",
        "Anh môi giới bảo khỏi ký giấy tờ gì hết, cứ sang làm",
        "ho noi qua toi noi roi moi ky hop dong, luong 20tr",
        "no written contract, they just say trust us, work in Malaysia 20 million a month",
    ),
    "upfront_fee": (
        "Họ bắt đóng cọc 15 triệu trước rồi mới cho đi Hàn",
        "cty kia tuyen di dai loan luong 25tr, bao chuyen truoc 3tr phi ho so",
        "ho tuyen lam kho shopee luong 9tr ma doi dong tien dong phuc 500k truoc khi di lam",
        "Nộp 30 triệu giữ chỗ đi Nhật, ai nộp trước đi trước",
        "ho keu coc 5 trieu giu cho roi moi phong van di sing",
        "họ rủ làm cộng tác viên online, nạp trước 200k rồi mới giao việc, hoa hồng 20%",
    ),
    "debt_advance": (
        "Họ ứng trước cho mẹ em 10 triệu, qua Lào làm trừ dần vào lương",
        "ho ru qua dai loan lam, chu cho vay 20tr lam ho chieu roi lam tra no sau",
        "e ru di lam bien, ho dua truoc cho nha 15tr, lam ko du ko dc ve",
        "Họ tuyển đi Malaysia, tiền vé với giấy tờ công ty lo trước, sau trừ lương sáu tháng",
        "ba chu quan o mong cai cho nha toi muon 30 trieu roi bat con toi lam tru no",
        "they lent my family 20 million and I must work in the bar to pay it back",
    ),
    "document_retention": (
        "Qua tới nơi họ thu hết hộ chiếu, lương 20 triệu làm ở Lào",
        "ho ru di lam quan ben lao luong 15tr, bat dua can cuoc ban goc cho ho giu",
        "cty kia tuyen di dai loan, doi giu bang cap 3 voi giay khai sinh ban goc, lam du 2 nam moi tra",
        "Có chị rủ em vào làm quán ở Bình Dương lương 15 triệu, chủ đòi giữ CCCD",
        "họ rủ sang malai làm, tới nơi ông chủ cất hộ chiếu của cả nhóm",
        "they offer me a job in Malaysia but the agent keeps our passports until we finish",
    ),
    "social_media_recruiter": (
        "Em thấy bài đăng trên Facebook tuyển đi Thái lương 20 triệu",
        "co ng nt zalo ru qua cam lam luong 25tr",
        "quen anh kia tren tiktok, anh ru di lao lam luong cao",
        "Nhóm Telegram tuyển cskh đi Philippines, lương 1000 đô",
        "chi do inbox fb keu di trung quoc lam mong",
        "a girl I met on Facebook offered me a job in Cambodia for 900 dollars",
    ),
    "stranger_recruiter": (
        "Có người lạ nhắn tin rủ sang Thái làm, lương 20 triệu",
        "gap mot ba o ben xe ru di lam ben trung quoc luong cao",
        "e quen ông này trên mạng chưa gặp bao giờ, ổng rủ qua cam làm",
        "so la nhan tin bao co viec ben lao luong 20tr",
        "Anh đó em mới quen trên game mấy hôm, rủ em đi Móng Cái làm",
        "một chị không quen biết gọi điện bảo đi Đài Loan làm lương 40 triệu",
    ),
    "urgency": (
        "Họ nói mai xe chạy rồi, phải trả lời ngay trong hôm nay, đi Lào lương 20 triệu",
        "tuyen gap di thai, chi con 2 suat cuoi, luong 20tr",
        "no giuc e dem nay len xe lien ko thi mat cho, qua cam lam",
        "Anh kia hối quyết định gấp, hai ngày nữa bay sang Philippines",
        "con mot cho thoi, khong di lien la het, luong 18tr ben lao",
        "they say decide today or lose the place, casino job in Laos",
    ),
    "secrecy": (
        "Họ dặn đừng nói với ba mẹ, qua Thái làm lương 20 triệu rồi bất ngờ gửi tiền về",
        "a do bao dung ke voi ai, len xe dem luon, qua lao lam",
        "no keu e giau gia dinh, noi la di sai gon thoi chu that ra qua cam",
        "Chị môi giới bảo ai hỏi thì nói đi du lịch, không được nói đi làm bên Hàn",
        "ba moi dan khong cho nha biet chuyen dua em di lay chong trung quoc",
        "the recruiter told me not to tell my parents about the job in Cambodia",
    ),
    "illegal_route": (
        "Đi Trung Quốc làm không cần hộ chiếu, băng rừng một đêm là tới, lương 15 triệu",
        "ho bao qua song ban dem bang ghe la toi cam, luong 20tr",
        "e di lao theo duong mon, ko can giay to, lam boc vac",
        "Chui sang Trung Quốc bằng đường tiểu ngạch làm xưởng gỗ, lương 12 triệu",
        "ben do nhan dua di anh bang xe tai giau trong thung, het 20 ngan bang",
        "ho ru vuot bien sang thai lam luong 18tr, co nguoi dan duong",
    ),
    "tourist_visa": (
        "Đi Hàn bằng visa du lịch rồi trốn ở lại làm, lương 40 triệu",
        "ho lo visa du lich qua nhat lam nong trai luong 35tr",
        "qua thai bang hinh thuc du lich 30 ngay roi o lai lam, lg 18tr",
        "Họ nói đi Đài Loan theo tour rồi tách đoàn đi làm, lương 35 triệu",
        "di uc visa tham than roi hai nho, luong 80 trieu",
        "they send us to Korea on a tourist visa to work on a farm",
    ),
    "no_skills_needed": (
        "Việc nhẹ lương cao bên Campuchia, không cần bằng cấp kinh nghiệm",
        "qua thai lam ko can kn, ai cung lam dc, lg 20tr",
        "tuyen di philippines cskh khong can tieng khong can bang, luong 1000 usd",
        "Sang Lào làm nhàn lắm, chỉ ngồi máy lạnh bấm điện thoại, 25 triệu",
        "vnlc ben mien, ngoi choi cung co 20tr",
        "no experience needed, easy job in Laos, 900 dollars a month",
    ),
    "scam_compound_destination": (
        "Qua Bavet làm chăm sóc khách hàng online, lương 1000 đô",
        "lam chat voi khach ben tam giac vang luong 20tr",
        "tuyen nv cskh casino sihanoukville lg 900 usd",
        "Đi Myanmar đánh máy tính cho công ty game, lương 25 triệu",
        "sang cam lam may tinh, truc page, luong 18 trieu",
        "sale online ở Poipet, bao vé máy bay, lương 1000 đô",
    ),
    "travel_paid_by_recruiter": (
        "Họ bao vé máy bay qua Thái làm, lương 20 triệu",
        "anh do cho xe don tan nha dua qua cam, luong 20tr",
        "ho ru qua lao lam, noi ko phai lo j, ho lo het xe co an uong toi noi luon",
        "Bên kia mua vé sẵn cho em bay sang Philippines làm",
        "bao xe bao ve het, chi can nguoi len duong la duoc, lam ben mien",
        "they pay for my ticket and pick me up at the bus station to go to Laos",
    ),
    "destination_changed": (
        "Họ nói đi Thái mà giờ xe lại chạy sang Lào",
        "hua lam ban ve so, qua toi noi bat lam lua dao tren mang",
        "noi di sai gon lam quan an ma cho em toi moc bai roi bao qua cam",
        "Hợp đồng ghi làm nhà hàng, sang đó họ bắt em làm ở quán bar",
        "ban dau bao lam o da nang gio doi sang myanmar",
        "they promised Thailand but the driver is taking us to Cambodia",
    ),
    "marriage_broker": (
        "Bà mối dẫn người Trung Quốc về xem mặt, cưới thì cho nhà 150 triệu",
        "co nguoi mai moi con toi lay chong han, ho lo het giay to",
        "chi kia ru lay chong dai loan, nha trai tra 100 trieu",
        "Công ty môi giới hôn nhân tuyển cô dâu đi Hàn, gặp mặt một ngày là cưới",
        "con be ban ben bi ban lam vo ben trung quoc",
        "a broker wants my daughter to marry a Chinese man for 100 million",
    ),
    "minor": (
        "Em 15 tuổi, có người rủ đi Thái bán vé số lương 20 triệu",
        "chau hoc lop 9 ma co ng ru di lao lam luong 15tr",
        "con gái tôi mới mười sáu tuổi bị rủ đi karaoke ở biên giới",
        "tui em 16, 17 tuoi duoc ru qua cam lam online",
        "đứa cháu 14 tuổi nhà tôi theo thằng quen trên mạng đi làm ở Sài Gòn",
        "my sister is 16 and they offer her a job in Laos",
    ),
    "surrogacy_organ": (
        "Họ trả 400 triệu nếu em mang thai hộ cho người Trung Quốc",
        "can ban than gap, ho tra 200tr, qua cam mo",
        "co nhom fb tuyen de thue luong 300 trieu",
        "Chị kia rủ em bán trứng, một lần được 40 triệu",
        "ho bao di hien than qua mien duoc 250 trieu",
        "they offer 15000 dollars to be a surrogate mother in Georgia",
    ),
    "restricted_movement": (
        "Bên đó ở trong khu, không cho ra ngoài, có bảo vệ canh cổng",
        "chu khoa cua nhot nhan vien ca dem, quan karaoke o binh duong",
        "bn e lm ben cam, bi nhot trong toa nha ko ra dc",
        "Thuyền trưởng không cho anh em lên bờ sáu tháng nay",
        "ho khong cho con toi ve nha, bat o lai quan",
        "workers are locked inside the building and guards stand at the gate",
    ),
    "violence_threat": (
        "Bạn em bên Campuchia không đủ chỉ tiêu là bị đánh bằng roi điện",
        "no doa ban sang cong ty khac neu em khong lam",
        "ho bo doi may dua khong chiu lam, chich dien nua",
        "Chủ ghe đánh đập và dọa giết nếu tôi bỏ về",
        "thang quan ly tat em trai toi hoai, doa chat tay",
        "they beat anyone who refuses and threaten to sell us",
    ),
    "excessive_hours": (
        "Làm từ 5 giờ sáng tới 10 giờ đêm, quán ăn bên Lào, lương 8 triệu",
        "ho ru qua trung quoc lam xuong may, moi ngay lam 16 tieng khong duoc nghi",
        "tuyen giup viec dai loan luong 25tr, lam 15h/ngay khong ngay nghi",
        "Ghe cá tuyển người lương 15 triệu, làm 18 tiếng một ngày, ngủ có bốn tiếng",
        "lam tu sang toi khuya khong ngay nghi, chu quan karaoke giu tien",
        "they lock us in the compound and we work 16 hours a day",
    ),
    "wage_withheld": (
        "Em gái tôi làm quán ở Móng Cái bị chủ giữ lương sáu tháng, không cho về nhà",
        "lam 4 thang roi ma ho ko tra luong, noi tru no het",
        "chu tau quyt luong anh em, ai doi la danh",
        "Con tôi giúp việc bên Ả Rập ba tháng chưa được trả lương, bị nhốt trong nhà",
        "tui e bi ket ben lao, ho giu het tien luong voi giay to, khong cho ve",
        "the boss has not paid us for five months and keeps our passports",
    ),
    "forced_scam_work": (
        "Qua đó họ bắt em nhắn tin lừa tình người ta để lấy tiền",
        "bat lam lua dao tren mang, moi ngay phai du chi tieu",
        "bn e ben mien bi ep goi dien gia cong an lua nguoi viet minh",
        "Em trai tôi bị ép tạo nick giả dụ khách nạp tiền, không làm thì bị đánh",
        "ho bat tui em lua nguoi ta dau tu tien ao",
        "they force us to scam people online every day",
    ),
    "ransom_demand": (
        "Họ đòi 150 triệu mới cho con tôi về",
        "no bat gia dinh chuyen 5000 do thi moi tha",
        "muon ve phai den hop dong 120tr, e ben cam",
        "Bên đó gọi video đòi tiền chuộc em trai tôi 200 triệu",
        "khong dong 80 trieu thi khong cho nghi viec ve nuoc, dang bi giu o lao",
        "they want 7000 dollars to let my brother go",
    ),
    "recruiter_unlicensed": (
        "Công ty du lịch kia tuyển người đi Hàn làm nông trại, không có giấy phép xuất khẩu lao động",
        "co tay cò trong xã không có giấy phép gì đang gom người đi trung quốc làm xưởng lương 15tr",
        "trung tam tu van du hoc ma tuyen di uc lam, luong 70tr",
        "Anh đó làm ăn cá nhân, không thuộc công ty nào, nhận lo đi Nhật 100 triệu",
        "cty nay tra ko thay co giay phep dua di nuoc ngoai, ma van thu ho so di dai loan",
        "a visa company with no licence offers me a factory job in Poland",
    ),
    "isolation_no_contact": (
        "Chị tôi đi giúp việc bên Ả Rập, bị thu điện thoại, hai tháng không gọi về",
        "con gai toi di lam ben trung quoc mat lien lac 5 thang nay",
        "qua toi noi ho thu het dt sim, khong cho goi ve nha",
        "Em trai tôi qua Campuchia rồi gọi không được nữa, zalo cũng tắt",
        "moi lan goi ve deu co nguoi ngoi canh ben canh, nha em ben mien",
        "they took all our phones so nobody can call home, in Myanmar",
    ),
}

LACKS = {
    "unrealistic_pay": (
        "Công ty may ở Bắc Ninh tuyển công nhân lương 9 triệu, có hợp đồng, bảo hiểm",
        "đơn hàng Nhật làm cơ khí lương 32 triệu, công ty có giấy phép",
        "di han eps luong 40tr/thang, nop ho so o so lao dong",
        "nhà trai Trung Quốc trả 150 triệu tiền cưới, bà mối lo hết",
        "làm thợ xây ở Đà Nẵng 350k/ngày, cai thầu là chú em",
    ),
    "vague_job": (
        "Tuyển công nhân may tại KCN Quế Võ, may chuyền, lương 9 triệu, hợp đồng một năm",
        "giúp việc cho gia đình ở Đài Bắc, chăm cụ bà, lương 22 triệu, công ty có giấy phép",
        "chú em rủ đi phụ hồ ở Đà Nẵng, 350k một ngày",
        "đi Hàn hái dâu thời vụ 5 tháng qua huyện giới thiệu, có hợp đồng",
    ),
    "no_contract": (
        "Công ty ký hợp đồng hai năm bằng tiếng Việt trước khi bay sang Nhật",
        "ky hop dong lao dong 1 nam, bao hiem day du, luong 9tr kcn que vo",
        "họ gửi hợp đồng cho đọc trước một tuần, đi Đài Loan làm nhà máy",
        "chưa thấy ai chê hợp đồng bên đó, công ty samsung tuyển công nhân lương 10 triệu",
    ),
    "upfront_fee": (
        "Công ty tuyển công nhân đi Đài Loan, không thu phí, không cọc, có giấy phép",
        "đi làm ở Samsung Thái Nguyên không mất đồng nào, bao ăn trưa, lương 10 triệu",
        "tuyen cong nhan may luong 9tr, co thuong, khong phai dong tien gi",
        "di han theo eps, phi nop sau khi co hop dong, so lao dong thong bao",
    ),
    "debt_advance": (
        "Công ty cho tạm ứng lương giữa tháng nếu cần, may ở Nam Định lương 8 triệu",
        "lương 9 triệu trả đúng mùng 5 hàng tháng, có bảo hiểm, hợp đồng đàng hoàng",
        "em tự trả tiền vé đi Đài Loan, công ty có giấy phép, ký hợp đồng rồi",
        "nhà hàng trả lương hàng tuần, không trừ tiền ăn, chị họ em giới thiệu",
    ),
    "document_retention": (
        "Đi phỏng vấn mang theo bản sao căn cước, công ty may ở Huế tuyển, lương 8 triệu",
        "họ photo căn cước rồi trả lại liền, làm kho ở Bình Dương lương 8 triệu",
        "chủ bên Nhật để mình tự giữ hộ chiếu, có hợp đồng, lương 30 triệu",
        "ho huong dan lam ho chieu o cong an tinh, di dai loan luong 22tr, cty co phep",
    ),
    "social_media_recruiter": (
        "Trung tâm dịch vụ việc làm tỉnh giới thiệu đi làm ở Samsung, lương 10 triệu",
        "chị họ em làm bên đó ba năm rồi về rủ đi, nhà máy Đài Loan lương 22 triệu",
        "ruot cau em mo quan o vung tau ru em ra phu ban, luong 6tr",
        "xã thông báo trên loa tuyển đi Hàn thời vụ, nộp hồ sơ ở phòng lao động",
    ),
    "stranger_recruiter": (
        "Chú ruột em làm xưởng gỗ ở Bình Dương rủ vô làm chung, lương 9 triệu",
        "bác hàng xóm quen hai chục năm giới thiệu đi may ở Bắc Giang, lương 8 triệu",
        "co giao cu cua em gioi thieu lam o truong mam non, luong 6tr",
        "công ty về tận xã tuyển, có cán bộ xã đi cùng, đi Nhật lương 30 triệu",
    ),
    "urgency": (
        "Hồ sơ nộp lúc nào cũng được, tháng sau mới phỏng vấn, nhà máy ở Thái Nguyên lương 9 triệu",
        "họ cho suy nghĩ một tháng rồi mới ký, đi Đài Loan làm điện tử lương 22 triệu",
        "phong van xong hai thang sau bay, don hang nhat luong 30tr co hop dong",
        "không vội đâu, cứ hỏi nhà rồi trả lời, cậu em rủ làm quán ở Vũng Tàu",
    ),
    "secrecy": (
        "Họ bảo về bàn với bố mẹ rồi hãy ký, đi Nhật ba năm lương 30 triệu",
        "em giấu ba mẹ đi làm thêm ở quán phở gần trường, lương 4 triệu",
        "cong ty moi ca phu huynh den nghe tu van, di dai loan luong 22tr",
        "chị ấy nói với cả nhà em rồi, ai cũng đồng ý cho em đi may ở Bình Dương",
    ),
    "illegal_route": (
        "Đi bằng máy bay, có hộ chiếu và visa lao động, làm nhà máy ở Đài Loan lương 22 triệu",
        "nhà em phải qua sông mới tới chỗ làm, xưởng may ở huyện bên, lương 7 triệu",
        "lam bao ve rung o dak lak, luong 7tr, ban quan ly rung tuyen",
        "lái xe tải chở hàng Hà Nội - Vinh, lương 12 triệu, có hợp đồng",
    ),
    "tourist_visa": (
        "Công ty du lịch Saigontourist tuyển hướng dẫn viên ở Nha Trang, lương 10 triệu",
        "đi Hàn visa E-9 theo EPS, qua trung tâm lao động ngoài nước",
        "visa lao dong 3 nam di dai loan, cty co phep, luong 22tr",
        "khách sạn ở khu du lịch Hội An tuyển lễ tân, lương 8 triệu, có hợp đồng",
    ),
    "no_skills_needed": (
        "Tuyển thợ hàn có chứng chỉ 3G, kinh nghiệm 2 năm, lương 15 triệu ở Hải Phòng",
        "yêu cầu bằng trung cấp điều dưỡng, biết tiếng Đức B1, công ty có giấy phép",
        "may chuyen tai bac ninh can tay nghe 1 nam, luong 10tr, bao hiem",
        "phải thi tiếng Hàn, thi tay nghề mới được đi EPS, sở lao động thông báo",
    ),
    "scam_compound_destination": (
        "Làm công nhân cao su ở Lào cho tập đoàn Cao su, có hợp đồng, lương 9 triệu",
        "làm chăm sóc khách hàng online cho Viettel ở Hà Nội, lương 8 triệu, có hợp đồng",
        "tuyen ky su dien di lam thuy dien ben lao, luong 20tr, tong cong ty song da",
        "ban hang may tinh o da nang, luong 7tr, co bao hiem",
    ),
    "travel_paid_by_recruiter": (
        "Nhà máy Samsung có xe đưa đón công nhân, lương 10 triệu, hợp đồng một năm",
        "em tự mua vé xe vô Bình Dương làm, chú em giới thiệu, lương 8 triệu",
        "tu tuc tien ve may bay di nhat, cong ty co giay phep, luong 30tr",
        "bao ăn trưa, không bao chỗ ở, may ở Huế lương 7 triệu",
    ),
    "destination_changed": (
        "Làm ở Bắc Ninh đúng như tin tuyển, lương 9 triệu, có hợp đồng",
        "công ty chuyển nhà xưởng từ Quận 12 sang Củ Chi, báo trước ba tháng, lương vẫn 9 triệu",
        "di nhat dung don hang da ky, lam com hop, luong 28tr",
        "em đổi ý muốn đi Hàn thay vì Nhật, trung tâm huyện tư vấn lương 40 triệu",
    ),
    "marriage_broker": (
        "Nhà hàng tiệc cưới ở Cần Thơ tuyển phục vụ, lương 6 triệu",
        "vợ chồng em cùng đi làm ở Đồng Nai, công ty giày tuyển, lương 9 triệu",
        "tuyen tho trang diem co dau o sai gon, luong 8tr, co hop dong",
        "chồng em làm bên Hàn theo EPS, giờ em muốn đi theo diện thời vụ qua huyện",
    ),
    "minor": (
        "Em 22 tuổi, công ty may ở Nam Định nhận, lương 8 triệu",
        "tuyển lao động từ 18 đến 35 tuổi đi Nhật, công ty có giấy phép, lương 30 triệu",
        "day them lop 9 tai nha, luong 5tr mot thang, em la sinh vien",
        "trường tiểu học tuyển cô bảo mẫu lớp 2, lương 6 triệu, hợp đồng một năm",
    ),
    "surrogacy_organ": (
        "Trại gà ở Đồng Nai tuyển người nhặt trứng, lương 7 triệu",
        "bệnh viện tuyển hộ lý khoa thận, lương 8 triệu, có hợp đồng",
        "quan an tuyen nguoi ban trung vit lon buoi toi, 200k/ngay",
        "em có thai bốn tháng, công ty may nhận làm việc nhẹ, lương 7 triệu",
    ),
    "restricted_movement": (
        "Công ty cho ở ký túc xá, ra vào tự do, nhà máy Đài Loan lương 22 triệu",
        "tuyển bảo vệ canh cổng nhà máy ở Bình Dương, lương 8 triệu, có hợp đồng",
        "lam tho khoa o quan 10, sua khoa cua, luong 8tr",
        "nghỉ chủ nhật được đi chơi, chủ Nhật dễ tính, lương 30 triệu, có hợp đồng",
    ),
    "violence_threat": (
        "Làm thợ điện ở Hà Nội, lương 10 triệu, có hợp đồng và bảo hiểm tai nạn",
        "xưởng đánh bóng inox tuyển thợ, lương 9 triệu, có bảo hiểm",
        "day bong ban, danh cau long cho tre em, luong 6tr",
        "chủ bên Đài hiền, chưa la mắng ai bao giờ, lương 22 triệu, công ty có phép",
    ),
    "excessive_hours": (
        "Làm 8 tiếng một ngày, tăng ca trả thêm, nhà máy ở Bắc Giang lương 9 triệu",
        "ca ngày từ 6 giờ sáng tới 2 giờ chiều, nghỉ chủ nhật, lương 8 triệu, có hợp đồng",
        "di xe 14 tieng tu vinh vo binh duong lam cong nhan, luong 9tr, co hop dong",
        "bay 5 tiếng là tới Nhật, làm 8 giờ mỗi ngày, lương 30 triệu",
    ),
    "wage_withheld": (
        "Lương trả đúng ngày 10 hàng tháng, chưa khi nào trễ, nhà máy may Huế 8 triệu",
        "làm đủ tháng nhận đủ lương 9 triệu, chuyển khoản, công ty ở Quế Võ",
        "luong tra hang thang qua the, co phieu luong, di dai loan 22tr cty co phep",
        "công ty giữ chỗ làm cho em sau thai sản, lương vẫn trả đủ 8 triệu",
    ),
    "forced_scam_work": (
        "Làm nhân viên tư vấn bán hàng online cho shop quần áo ở Hà Nội, lương 6 triệu",
        "ngân hàng tuyển nhân viên chống lừa đảo, lương 12 triệu, có hợp đồng",
        "goi dien cham soc khach hang cho vinaphone o da nang, luong 7tr, co bao hiem",
        "chạy quảng cáo facebook cho tiệm bánh của chị em, lương 5 triệu",
    ),
    "ransom_demand": (
        "Nghỉ trước hạn phải báo trước 30 ngày theo hợp đồng, nhà máy ở Bắc Ninh lương 9 triệu",
        "hết hợp đồng công ty mua vé cho về nước, lương 30 triệu bên Nhật",
        "tet cong ty cho ve nha 10 ngay, thuong 1 thang luong, 9tr",
        "làm ở tiệm cầm đồ, khách chuộc xe thì ghi sổ, lương 6 triệu",
    ),
    "recruiter_unlicensed": (
        "Em tra trên trang của bộ thấy công ty có giấy phép, đi Nhật lương 30 triệu",
        "trung tâm lao động ngoài nước tổ chức thi EPS đi Hàn, lương 40 triệu",
        "cty co phep xkld, so giay phep 123, don hang dai loan 22tr",
        "công ty du lịch ở Đà Nẵng tuyển lái xe, lương 9 triệu, có hợp đồng",
    ),
    "isolation_no_contact": (
        "Tối nào con tôi cũng gọi video về, nó đi Nhật theo công ty có phép, lương 30 triệu",
        "cửa hàng điện thoại ở Vinh tuyển nhân viên, lương 6 triệu",
        "tuyen tho sua dien thoai tai can tho, luong 8tr, co hop dong",
        "công ty cho wifi và điện thoại liên lạc thoải mái, nhà máy Đài Loan 22 triệu",
    ),
}


def test_sentences_that_show_a_flag_raise_it(reader: App) -> None:
    """Whatever the spelling, what the sentence says is seen, in at least seven of eight."""
    missed = [(flag, text) for flag, texts in SHOWS.items() for text in texts if not _raises(reader, flag, text)]
    assert len(missed) <= sum(map(len, SHOWS.values())) / 8, missed


@pytest.mark.parametrize("flag", SHOWS)
def test_no_flag_is_blind(flag: str, reader: App) -> None:
    """Each flag is seen in at least half of the sentences that show it."""
    assert sum(_raises(reader, flag, text) for text in SHOWS[flag]) * 2 >= len(SHOWS[flag])


def test_harmless_sentences_with_their_words_raise_none(reader: App) -> None:
    """The same words in an honest offer warn of nothing, in at least seven of eight."""
    wrong = [(flag, text) for flag, texts in LACKS.items() for text in texts if _raises(reader, flag, text)]
    assert len(wrong) <= sum(map(len, LACKS.values())) / 8, wrong


def _raises(reader: App, flag: str, text: str) -> bool:
    return flag in reader.interpreter.read(text).flags


@pytest.mark.parametrize(("flag", "sentence"), [(flag, texts[0]) for flag, texts in SHOWS.items()])
def test_the_words_shown_for_a_flag_are_the_senders_own(flag: str, sentence: str, reader: App) -> None:
    """Every piece of evidence stands in the message just as it was typed."""
    flags = reader.interpreter.read(sentence).flags
    assert all(words and words in sentence for found in flags.values() for words in found), flags


def test_every_flag_of_the_library_is_tried(reader: App) -> None:
    """All 27, each with at least six sentences that show it and four that do not."""
    assert set(SHOWS) == set(LACKS) == set(reader.library.red_flags)
    assert len(SHOWS) == 27
    assert min(len(set(texts)) for texts in SHOWS.values()) >= 6
    assert min(len(set(texts)) for texts in LACKS.values()) >= 4


@pytest.mark.parametrize(
    "sentence", ["chào bạn", "visa du lịch Hàn Quốc cần giấy tờ gì", "thời tiết hôm nay", "cảm ơn nhiều nha"]
)
def test_only_offers_reports_and_cries_carry_flags(sentence: str, reader: App) -> None:
    """A question about a thing is no warning sign of it."""
    assert dict(reader.interpreter.read(sentence).flags) == {}


def test_a_cue_in_another_script_finds_its_own_words(reader: App) -> None:
    """A pattern that the normaliser can never produce is dead: no sentence would raise its flag."""
    normaliser = Normaliser.from_file(ROOT / "nlu" / "teencode.yml")
    cues = [
        (flag.id, cue)
        for flag in reader.library.red_flags.values()
        for cue in flag.cues
        if not cue.isascii() and not METACHARACTERS.search(cue)
    ]
    assert len(cues) > 300
    assert [cue for cue in cues if not Cue.compile(cue[0], [cue[1]]).find(normaliser.plain(cue[1]))] == []
