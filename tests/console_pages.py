"""Made-up data for every page of the console, in the shapes that the templates document."""

import datetime as dt
from typing import Any

from jinja2 import Environment, StrictUndefined

from bot.conversation.outcome import OUTCOMES, QUESTIONS
from bot.hotline.reach import Reach
from bot.unanswered.groups import Band
from bot.web.words import templates
from bot.yaml_files import load_yaml
from tests.conftest import ROOT

NOW = dt.datetime(2026, 11, 22, 7, 30, tzinfo=dt.UTC)
Context = dict[str, Any]

ME = {"name": "Lan Anh", "roles": ["operator", "supervisor"], "on_duty": True, "open_cases": 3, "most_cases": 8}
MAY = frozenset(
    "queue.see case.claim case.work case.assign case.ask_second case.decide_second case.hand_on case.export team.see "
    "service.see content.see directory.see account.own people.manage audit.see settings.see alert.see alert.write alert.approve alert.stop "
    "alert.budget trends.see".split()
)
EVERYTHING = frozenset(
    "claim hand_over release skip priority ask refer second reveal code reach close reopen export note summary talk clue give_back".split()
)


def strict_environment() -> Environment:
    """The pages' own environment, where a name that is not in the context is an error."""
    return templates.env.overlay(undefined=StrictUndefined)


def words(language: str) -> dict[str, dict[str, str]]:
    """All words of the console; those of pages that are written elsewhere may be missing."""
    return dict(load_yaml(ROOT / "content" / "console" / f"{language}.yml"))


def common(language: str, group: str, /, **more: Any) -> Context:
    """What every page gets, and `more`."""
    known = words(language)
    return {
        "w": known[group],
        "c": known["common"],
        "words": known,
        "lang": language,
        "me": ME,
        "may": MAY,
        "csrf": "token-of-this-session",
        "nav": group,
        "counts": {"p0": 2, "mine": 1, "second": 1, "alerts": 1},
        "here": f"/console/{group}",
        **more,
    }


def a_row(reference: str, priority: str, **more: Any) -> Context:
    """A line of the queue."""
    return {
        "reference": reference,
        "priority": priority,
        "kind": "report",
        "status": "open",
        "minor": False,
        "about": "other",
        "country": "Campuchia",
        "flags": [],
        "waiting": 12,
        "due": NOW + dt.timedelta(minutes=3),
        "overdue": False,
        "owner": None,
        "mine": False,
        "claimable": True,
        "pages": 0,
        "linked": 0,
        "news": 0,
        "held": False,
        **more,
    }


ROWS: list[Context] = [
    a_row("K7M2QX", "P0", kind="emergency", about="self", country="Myanmar", waiting=17, overdue=True, pages=3, linked=2,
          flags=["Đánh, bỏ đói hoặc dọa nạt", "Không cho ra ngoài, có người canh"]),
    a_row("B4T9RW", "P0", kind="emergency", minor=True, waiting=2, pages=1, flags=["Đòi tiền mới cho về"]),
    a_row("H2N8CV", "P1", minor=True, country="Lào", waiting=48, due=NOW + dt.timedelta(minutes=12)),
    a_row("D5S3GZ", "P2", owner="Minh Tuấn", claimable=False, due=None, waiting=205, held=True),
    a_row("Q9F6JA", "P2", owner="Lan Anh", mine=True, claimable=False, due=None, waiting=1500, news=2,
          flags=["Thu tiền trước khi đi làm", "Giục quyết cho nhanh", "Rủ hoặc đăng tuyển qua mạng xã hội"]),
    a_row("W3E7TY", "P3", kind="human", about="self", country=None, waiting=600),
    a_row("X2Y4ZK", "P3", kind="offer", status="closed", claimable=False, owner="Lan Anh", due=None),
]  # fmt: skip
WAITING: list[Context] = [
    {"priority": "P0", "count": 2, "longest": 17},
    {"priority": "P1", "count": 1, "longest": 48},
    {"priority": "P2", "count": 0, "longest": None},
    {"priority": "P3", "count": 1, "longest": 600},
]
QUEUE: Context = {"show": "open", "q": "", "waiting": WAITING, "page": 2, "pages": 3, "rows": ROWS}


def a_case(**more: Any) -> Context:
    """What the whole page of a case gets beside the common part; `more` replaces single names."""
    return {
        "case": {
            "reference": "K7M2QX",
            "kind": "emergency",
            "priority": "P0",
            "status": "open",
            "outcome": None,
            "minor": True,
            "about": "other",
            "watched": True,
            "owner": "Lan Anh",
            "mine": True,
            "channel": "sms",
            "opened_at": NOW - dt.timedelta(hours=2),
            "claimed_at": NOW - dt.timedelta(hours=1, minutes=57),
            "ended_at": None,
            "heard_at": NOW - dt.timedelta(minutes=6),
            "waiting": 6,
            "due": NOW,
            "overdue": False,
        },
        "can": EVERYTHING,
        "state": {"identity": "known", "presence": "here", "knock": None, "access": False},
        "duty": None,
        "facts": {
            "country": "Myanmar",
            "flags": ["Đánh, bỏ đói hoặc dọa nạt", "Không cho ra ngoài, có người canh", "Giấy tờ bị người khác giữ"],
            "answers": [{"asked": "Có ai bị thương không?", "answered": "co, 1 ban bi danh hom qua"}],
            "reporter": "Chị gái, đang ở Nghệ An.",
            "subject": "Em trai 17 tuổi.",
            "place": "Gần sông, tòa nhà 5 tầng sơn xanh.",
            "plan": "",
        },
        "reach": Reach(dt.time(21), dt.time(22)),
        "code_set": True,
        "talk": TALK,
        "composer": a_composer(),
        "timeline": TIMELINE,
        "linked": LINKED,
        "colleagues": [
            {"id": "s2", "name": "Minh Tuấn", "on_duty": True, "open_cases": 4, "most_cases": 8},
            {"id": "s3", "name": "Hồng Vân", "on_duty": False, "open_cases": 8, "most_cases": 8},
        ],
        "consents": [
            {"purpose": "share_111", "state": "yes", "at": NOW},
            {"purpose": "share_police", "state": "none", "at": None},
            {"purpose": "share_embassy", "state": "asked", "at": NOW},
            {"purpose": "share_ngo", "state": "no", "at": NOW},
        ],
        "receivers": [
            {"id": "vn_111", "name": "Tổng đài 111", "purpose": "share_111", "ready": True},
            {"id": "police", "name": "Công an tỉnh", "purpose": "share_police", "ready": False},
        ],
        "requests": [
            {"kind": "reveal", "asked_by": "Lan Anh", "asked_at": NOW, "state": "granted", "until": NOW + dt.timedelta(hours=1)},
            {"kind": "share_police", "asked_by": "Lan Anh", "asked_at": NOW, "state": "waiting", "until": None},
        ],
        "number": "+84 90 000 00 00",
        "handoffs": [
            {"id": "h1", "receiver": "Tổng đài 111", "form": "sheet", "at": NOW, "status": "made"},
            {"id": "h2", "receiver": "Tổng đài 111", "form": "webhook", "at": NOW, "status": "queued"},
        ],
        **more,
    }  # fmt: skip


def a_composer(**more: Any) -> Context:
    """The place to write, empty."""
    replies = [
        {"id": "here", "title": "Mình ở đây", "text": "Mình đang đọc đây. Bạn cứ nhắn từng chút một, không cần vội."},
        {
            "id": "safe",
            "title": "Có tiện nói không",
            "text": "Lúc này bạn nhắn tin có tiện không? 1 Tiện, 2 Chưa tiện.",
        },
    ]
    return {"id": "0b9e", "text": "", "confirm": None, "replies": replies, "preview": None, **more}


WARNED: Context = {
    "text": "Ban yen tam, minh se cuu ban. Nho bam vao hxxp",
    "segments": 2,
    "vnd": 1000,
    "grave": True,
    "cautions": [
        {"id": "promise", "words": ["yen tam", "se cuu"]},
        {"id": "recruiter", "words": ["http://viec-nhe.example.com"]},
    ],
}
TALK: list[Context] = [
    {"author": "person", "name": None, "text": "cuu voi, em toi bi nhot o myanmar, hom qua ho danh no", "at": NOW - dt.timedelta(hours=2), "delivery": None},
    {"author": "bot", "name": None, "text": "Mình nghe đây. Nếu có người nhìn máy, nhắn THOAT, mình im ngay.\nỞ nước ngoài, gọi +84 981 84 84 84.", "at": NOW - dt.timedelta(hours=2), "delivery": "delivered"},
    {"author": "operator", "name": "Lan Anh", "text": "Mình là người trực. Lúc này bạn nhắn tin có tiện không?", "at": NOW - dt.timedelta(hours=1, minutes=55), "delivery": "sent"},
    {"author": "person", "name": None, "text": "tien. ho noi vao http://viec-nhe.example.com/a?b=1 ma lay\u202egnp.exe \u200b", "at": NOW - dt.timedelta(minutes=50), "delivery": None},
    {"author": "operator", "name": "Lan Anh", "text": "Em bạn còn giữ điện thoại riêng không?", "at": NOW - dt.timedelta(minutes=40), "delivery": "uncertain"},
    {"author": "operator", "name": "Lan Anh", "text": "Khi nào tiện bạn nhắn nhé.", "at": NOW - dt.timedelta(minutes=20), "delivery": "held"},
]  # fmt: skip
TIMELINE: list[Context] = [
    {"at": NOW - dt.timedelta(minutes=30), "who": "Lan Anh", "kind": "note", "detail": "Mẹ ở nhà chưa biết chuyện, đừng gọi về nhà."},
    {"at": NOW - dt.timedelta(hours=1), "who": "Lan Anh", "kind": "claimed", "detail": None},
    {"at": NOW - dt.timedelta(hours=2), "who": "clock", "kind": "paged", "detail": None},
    {"at": NOW - dt.timedelta(hours=2), "who": "bot", "kind": "opened", "detail": "lời nhắn kể về nguy hiểm"},
]  # fmt: skip
LINKED: list[Context] = [
    {"reference": "Q9F6JA", "priority": "P2", "status": "open", "matches": ("phone", "link"), "readable": True},
    {
        "reference": "X2Y4ZK",
        "priority": "P3",
        "status": "closed",
        "matches": ("company",),
        "readable": False,
    },
]
TEAM: Context = {
    "people": [
        {"id": "s1", "name": "Lan Anh", "roles": ["supervisor"], "on_duty": True, "open_cases": 3, "most_cases": 8, "page_order": 1, "reachable": True},
        {"id": "s3", "name": "Hồng Vân", "roles": ["operator"], "on_duty": False, "open_cases": 8, "most_cases": 8, "page_order": None, "reachable": False},
    ],
    "waiting": WAITING,
    "unclaimed": [{"reference": "K7M2QX", "priority": "P0", "waiting": 17}],
}  # fmt: skip
DIRECTORY: Context = {
    "countries": [{"code": "LA", "name": "Lào"}, {"code": "VN", "name": "Việt Nam"}],
    "country": "LA",
    "entries": [
        {"id": "vn_111", "name": "Tổng đài quốc gia 111", "number": "111", "country": "Việt Nam", "notes": None, "checked": dt.date(2026, 8, 1), "expires": dt.date(2026, 11, 1), "overdue": True,
         "sources": [{"url": "https://example.com/111", "date": "2025-09-19"}, {"url": "https://example.com/b", "date": None}]},
        {"id": "mofa", "name": "Bảo hộ công dân", "number": "+84 981 84 84 84", "country": "Nước ngoài", "notes": "Ngày đêm", "checked": dt.date(2026, 11, 21), "expires": dt.date(2027, 2, 19), "overdue": False,
         "sources": [{"url": "https://example.com/c", "date": None}]},
    ],
}  # fmt: skip
AUDIT: Context = {
    "chain": {"whole": True, "broken_at": None, "checked": 1204},
    "head": {"position": 1204, "mac": "9f2c" * 16},
    "rows": [
        {"position": 1204, "at": NOW, "actor": "Lan Anh", "action": "read", "reference": "K7M2QX", "subject": None},
        {
            "position": 1203,
            "at": NOW,
            "actor": "command line",
            "action": "roles",
            "reference": None,
            "subject": "Hồng Vân",
        },
        {
            "position": 1202,
            "at": NOW,
            "actor": "clock",
            "action": "paged",
            "reference": "K7M2QX",
            "subject": "Minh Tuấn",
        },
    ],
    "actors": [{"id": "s1", "name": "Lan Anh"}, {"id": "clock", "name": "clock"}],
    "chosen": {"actor": "s1", "action": "read", "reference": "", "since": "2026-11-01", "until": ""},
    "page": 1,
    "pages": 25,
    "query": "actor=s1&",
}
SETTINGS: Context = {
    "settings": {
        "deployment": "trial",
        "staffed": True,
        "hours": [{"days": "T2-T6", "hours": "08:00-17:30"}],
        "open_now": False,
        "holidays": [dt.date(2027, 2, 6), dt.date(2027, 2, 7)],
        "claim_minutes": {"P0": 5, "P1": 60, "P2": 1440, "P3": 4320},
        "page_again_minutes": [5, 10],
        "honest_after_minutes": 15,
        "keep_cases_days": 90,
        "keep_words_hours": 24,
        "channels": [{"name": "sms", "on": True}, {"name": "telegram", "on": False}],
        "recovery_set": False,
        "webhook": None,
        "reporting_set": False,
    }
}
SECOND: Context = {
    "waiting": [
        {"id": "r1", "kind": "share_police", "asked_by": "Minh Tuấn", "asked_at": NOW, "reference": "K7M2QX", "priority": "P0", "reason": "Họ đang bị đánh, không trả lời được nữa.", "own": False},
        {"id": "r2", "kind": "reveal", "asked_by": "Lan Anh", "asked_at": NOW, "reference": "B4T9RW", "priority": "P0", "reason": "Cần gọi lại ngay.", "own": True},
    ],
    "decided": [{"kind": "reveal", "asked_by": "Lan Anh", "decided_by": "Minh Tuấn", "decided_at": NOW, "granted": True, "reference": "H2N8CV"}],
}  # fmt: skip
SHEET: Context = {
    "sheet": {
        "id": "h1",
        "reference": "K7M2QX",
        "receiver": "Tổng đài 111",
        "purpose": "share_111",
        "basis": "consent",
        "consent_words": "co, chi nho 111 giup",
        "consent_at": NOW,
        "reason": None,
        "alias": "Người nhắn K7M2QX",
        "number": None,
        "reporter": "Chị gái, đang ở Nghệ An.",
        "subject": "Em trai 17 tuổi, đi từ tháng 9.",
        "place": "Myanmar, gần sông Moei, tòa nhà 5 tầng sơn xanh.",
        "summary": "Đi theo lời rủ bán vé số ở Thái. Bị giữ giấy tờ, không được ra ngoài.",
        "done": "Đã đưa số bảo hộ công dân.",
        "minor": True,
        "flags": ["Không cho ra ngoài, có người canh", "Giấy tờ bị người khác giữ"],
        "prepared_by": "Lan Anh",
        "prepared_at": NOW,
        "digest": "5d41402abc4b2a76b9719d911017c592" * 2,
    }
}
ERROR: Context = {"error": "conflict", "back": "/console/queue", "detail": "taken", "about": "case"}

NOBODY: Context = {"me": None}
ENDED = {
    **a_case()["case"],
    "status": "closed",
    "outcome": "referred_111",
    "ended_at": NOW,
    "minor": False,
    "watched": False,
}
UNCLAIMED = {**a_case()["case"], "owner": None, "mine": False, "heard_at": None, "overdue": True}

# -- alerts ------------------------------------------------------------------------------------------------------------

AUDIENCE_ROWS = [("Tỉnh", "Nghệ An, Hà Tĩnh"), ("Quan tâm tới", "Đi nước ngoài"), ("Đường gửi", "Telegram, SMS")]
EVERY_ACTION = frozenset("edit submit test approve send_back pause resume budget cancel copy again".split())


def an_alert(**more: Any) -> Context:
    return {
        "reference": "K7M2QXAB",
        "title": "Lời mời chat ở Lào <b>",
        "status": "running",
        "why": None,
        "digest": "9f2c" * 16,
        "author": "Lan Anh",
        "mine": True,
        "approved_by": "Minh Tuấn",
        "created_at": NOW - dt.timedelta(hours=3),
        "submitted_at": NOW - dt.timedelta(hours=2),
        "approved_at": NOW - dt.timedelta(hours=1),
        "starts_at": NOW,
        "valid_until": NOW + dt.timedelta(days=2),
        "done_at": None,
        "urgent": True,
        "source": {"name": "Báo Thanh Niên", "url": "https://thanhnien.vn/tin", "date": dt.date(2026, 11, 20)},
        "size": "3.214",
        "budget": "4.000.000",
        "budget_vnd": 4_000_000,
        "reserved": "1.200.000",
        "again": True,
        "expanded": True,
        "audience": AUDIENCE_ROWS,
        **more,
    }


PROGRESS: Context = {
    "over": 1400,
    "of": 3214,
    "waiting": "1.800",
    "states": [{"name": "delivered", "people": "1.320"}, {"name": "failed", "people": "80"}, {"name": "under_way", "people": "14"}],
    "left_out": [{"people": "<11", "why": "để giữ an toàn cho họ"}, {"people": "40", "why": "đã thôi nhận tin báo"}],
    "failures": [{"why": "đã nhắn nhà mạng xin thôi nhận (21610)", "people": "80"}],
    "came_back": [{"kind": "question", "people": "25"}, {"kind": "emergency", "people": "<11"}],
    "forgotten": "<11",
    "spent": "1.400.000",
    "budget": "4.000.000",
    "rate": "600",
    "minutes_left": 3,
}  # fmt: skip
LEAVES: Context = {
    "previews": [
        {"channel": "telegram", "language": "vi", "text": "[QC] Chào bạn, mình là Bạn Đường, có tin về đi làm xa.\n\nKhoan đi. \u202eabc", "buttons": ["Kiểm tra lời mời", "Gặp người thật"],
         "opening": "[QC] Chào bạn, mình là Bạn Đường, có ti", "segments": None, "units": None, "encoding": None, "vnd": "0", "cut": None, "doubtful": []},
        {"channel": "sms", "language": "vi", "text": "[QC] Ban Duong: ai moi di Lao lam viec chat thi khoan di. Nhan STOP de ngung.", "buttons": [], "opening": "[QC] Ban Duong: ai moi di Lao lam viec ch",
         "segments": 2, "units": 163, "encoding": "gsm_7", "vnd": "1.000", "cut": 3, "doubtful": [{"written": "ban", "note": "có thể đọc là bán"}]},
    ],
    "problems": [{"text": "Chưa ghi nguồn.", "channel": None, "language": None}, {"text": "Số gõ tay: 0912345678.", "channel": "sms", "language": "vi"}],
    "audience": {
        "groups": [
            {"channel": "telegram", "language": "vi", "people": "2.100", "segments": 0, "vnd": "0", "paid": False, "few": False},
            {"channel": "sms", "language": "vi", "people": "1.114", "segments": 2, "vnd": "1.114.000", "paid": True, "few": False},
            {"channel": "sms", "language": "en", "people": "<11", "segments": 2, "vnd": "10.000", "paid": True, "few": True},
        ],
        "total": "3.214 + <11",
        "left_out": PROGRESS["left_out"],
        "vnd": "1.124.000",
        "paid": True,
        "few": True,
        "over": True,
        "budget": "1.000.000",
    },
}  # fmt: skip
CALM: Context = {**LEAVES, "problems": [], "audience": {**LEAVES["audience"], "few": False, "over": False}}
ALERT: Context = {
    "alert": an_alert(),
    "can": EVERY_ACTION - {"approve"},
    "progress": PROGRESS,
    "preview": {**LEAVES, "audience": None},
    "done": "",
    "seen": "",
}
WAITING_ALERT: Context = {
    **ALERT,
    "alert": an_alert(status="waiting", why="grown", approved_by=None, starts_at=None, mine=False, again=False, author=None, source=None, urgent=False, size=None),
    "can": frozenset({"approve", "send_back", "test", "cancel"}),
    "progress": None,
    "preview": CALM,
    "done": "test",
}  # fmt: skip
LISTED: Context = {"reference": "K7M2QXAB", "alert": an_alert(), "progress": None}
A_PROPOSAL: Context = {
    "key": "9f2c" * 16, "lure": "Việc mạng ở Campuchia, Lào, Myanmar", "period": "tuần 16/11 đến 22/11/2026",
    "rises": ["Cả nước: 96 người, có thể lệch 12. Mọi khi dưới 11. Tăng ít nhất 61 người."],
    "template": "Việc chat, trực máy ở nước ngoài", "places": "Cả nước", "interest": "Đi nước ngoài",
}  # fmt: skip
ALERTS: Context = {
    "proposals": [A_PROPOSAL, {**A_PROPOSAL, "key": "1b7d" * 16, "template": None, "interest": None}],
    "waiting": [{**LISTED, "alert": an_alert(status="waiting", size="3.214")}],
    "open": [{**LISTED, "progress": PROGRESS}],
    "drafts": [{**LISTED, "alert": an_alert(status="draft", size=None, author=None)}, {**LISTED, "alert": None}],
    "ended": [{**LISTED, "alert": an_alert(status="done", why="expired", done_at=NOW)}],
    "page": 1,
    "pages": 2,
    "schedules_waiting": 1,
}  # fmt: skip
FORM_FIELDS: Context = {
    "title": "Lào", "template": "offer_near_you", "text-vi": "Ở Lào Cai có người mời đi làm ở Thái Lan.", "sms-vi": "", "province-N40": "yes",
    "channel-sms": "yes", "when": "at", "start_day": "2026-11-25", "start_hour": "08:00", "urgent": "yes", "interest": "abroad",
}  # fmt: skip
ALERT_FORM: Context = {
    "form": FORM_FIELDS,
    "wrong": {},
    "problem": "",
    "alert": None,
    "digest": "",
    "preview": LEAVES,
    "templates": [{"id": "offer_near_you", "title": "Lời mời mới ở một vùng"}, {"id": "chat_jobs", "title": "Việc chat, trực máy ở nước ngoài"}],
    "blanks": [{"field": "blank-place-vi", "language": "vi", "what": "tỉnh, huyện hay xã có lời mời này", "example": "Lào Cai"}],
    "targets": ["Kiểm tra lời mời", "Gặp người thật"],
    "choice_fields": ["choice-1", "choice-2", "choice-3"],
    "provinces": [{"code": "N40", "name": "Nghệ An", "names": ("nghe an", "tp vinh")}, {"code": "N15", "name": "Lào Cai", "names": ("yen bai",)}],
    "interests": [{"id": "abroad", "label": "Đi nước ngoài"}],
    "channels": ("telegram", "sms"),
    "none_set_up": False,
    "languages": ("vi", "en"),
}  # fmt: skip
RECEIPTS: Context = {
    "alert": an_alert(),
    "rows": [
        {"masked": "•••33", "channel": "sms", "status": "failed", "at": NOW, "why": "số máy bàn (21614)"},
        {"masked": "•••07", "channel": "telegram", "status": "under_way", "at": NOW, "why": None},
    ],
    "shows": ["all", "arrived", "failed", "uncertain", "under_way"],
    "show": "failed",
    "page": 2,
    "more": True,
}
A_SCHEDULE: Context = {
    "id": "s-1", "title": "Nhắc hằng tuần", "status": "waiting", "digest": "9f2c" * 16, "author": "Lan Anh", "approved_by": None, "mine": False,
    "when": {"every": "week", "day": 1, "hour": "08:00"}, "cron": "0 8 * * 1", "hours": 6, "ends_at": NOW + dt.timedelta(days=90),
    "next": [NOW + dt.timedelta(days=number) for number in (1, 8, 15)], "budget": "500.000", "audience": AUDIENCE_ROWS, "preview": LEAVES,
    "can": {"approve", "end"},
}  # fmt: skip
SCHEDULES: Context = {
    "rows": [
        A_SCHEDULE,
        {**A_SCHEDULE, "id": "s-2", "status": "active", "when": {"every": "month", "day": 5, "hour": "08:30"}, "approved_by": "Minh Tuấn", "can": {"pause", "end"}},
        {**A_SCHEDULE, "id": "s-3", "mine": True, "when": None, "cron": "0 8 1,15 * *", "next": [], "can": {"resume"}},
        {**A_SCHEDULE, "id": "s-4", "status": "ended", "when": {"every": "day", "day": 0, "hour": "20:00"}, "can": set()},
    ],
    "broken": 1,
}  # fmt: skip
SCHEDULE_FORM: Context = {
    "alert": an_alert(),
    "preview": CALM,
    "form": {"every": "week", "hour": "08:00", "hours": "6"},
    "wrong": {},
}

SERVICE: Context = {
    "days": 7,
    "spans": (7, 30),
    "waiting": WAITING,
    "rows": [
        {"priority": "P0", "target": 5, "opened": 14, "in_time": 11, "due": 13, "median": 3, "most_waited": 17, "nobody_came": 1, "ended": 9},
        {"priority": "P1", "target": 60, "opened": 22, "in_time": 19, "due": 22, "median": 25, "most_waited": 1505, "nobody_came": 0, "ended": 20},
        {"priority": "P2", "target": 1440, "opened": 3, "in_time": 0, "due": 0, "median": None, "most_waited": None, "nobody_came": 0, "ended": 1},
        {"priority": "P3", "target": 2880, "opened": 0, "in_time": 0, "due": 0, "median": None, "most_waited": None, "nobody_came": 0, "ended": 0},
    ],
    "messages": {
        "rows": [{"name": name, "count": 12 * place} for place, name in enumerate(OUTCOMES)],
        "understood": 93,
    },
    "read_by": [("rasa 20261120-banduong.tar.gz@0123456789ab", 400), ("embedded 0123456789ab", 12)],
}  # fmt: skip
CONTENT: Context = {
    "days": 30,
    "spans": (7, 30),
    "messages": {"rows": SERVICE["messages"]["rows"][: len(QUESTIONS)], "understood": 88},
    "groups": [
        {"wording": "cho em hoi lam ho chieu mat bao lau", "people": Band(501, None)},
        {"wording": "… muon vay tien ngan hang o … thi can giay gi", "people": Band(11, 20)},
    ],
    "old": [
        {"kind": "number", "id": "kh_embassy", "title": "Đại sứ quán tại Campuchia", "day": NOW.date(), "state": "silent", "file": "content/hotlines.yml", "because": None},
        {"kind": "answer", "id": "embassy_help_abroad/cambodia", "title": "Đang ở Campuchia thì gọi ai", "day": NOW.date(), "state": "silent",
         "file": "content/answers/embassy_help_abroad.yml", "because": "Đại sứ quán tại Campuchia"},
        {"kind": "alert", "id": "chat_jobs", "title": "Việc chat, trực máy ở nước ngoài", "day": NOW.date(), "state": "silent", "file": "content/alerts/", "because": None},
        {"kind": "number", "id": "vn_113", "title": "Công an 113", "day": NOW.date(), "state": "overdue", "file": "content/hotlines.yml", "because": None},
        {"kind": "answer", "id": "fees_deposit/refund", "title": "Đòi lại tiền cọc", "day": NOW.date(), "state": "soon", "file": "content/answers/fees_deposit.yml", "because": None},
    ],
}  # fmt: skip

# name of the picture -> template, group of words, context beside the common one
PAGES: dict[str, tuple[str, str, Context]] = {
    "queue": ("queue.html", "queue", QUEUE),
    "queue-part": ("_queue.html", "queue", QUEUE),
    "queue-empty": ("queue.html", "queue", {**QUEUE, "show": "unclaimed", "rows": [], "page": 1, "pages": 1}),
    "queue-found": ("queue.html", "queue", {**QUEUE, "q": "ABC", "rows": []}),
    "mine": ("mine.html", "mine", {**QUEUE, "show": "mine", "waiting": [], "rows": ROWS[:2], "pages": 1, "page": 1}),
    "mine-full": ("mine.html", "mine", {**QUEUE, "rows": [], "me": {**ME, "open_cases": 8}}),
    "case": ("case.html", "case", a_case()),
    "case-warned": (
        "case.html",
        "case",
        a_case(
            composer=a_composer(text="Bạn yên tâm, mình sẽ cứu bạn.", confirm="1", preview=WARNED),
            state={"identity": "not_verified", "presence": "here", "knock": None, "access": False},
        ),
    ),
    "case-silent": (
        "case.html",
        "case",
        a_case(can=EVERYTHING - {"talk", "ask"}, state={"identity": "known", "presence": "silent", "knock": None, "access": False}),
    ),
    "case-away": (
        "case.html",
        "case",
        a_case(
            state={
                "identity": "verified",
                "presence": "away",
                "knock": {"text": "Chào bạn, lúc này nhắn tin có tiện không?", "leaves_at": NOW + dt.timedelta(hours=6)},
                "access": True,
            },
            duty="Phải báo cơ quan bảo vệ trẻ em trong 24 giờ.",
        ),
    ),
    "case-unclaimed": ("case.html", "case", a_case(case=UNCLAIMED, can={"claim"}, talk=[], linked=[], number=None)),
    "case-ended": (
        "case.html",
        "case",
        a_case(case=ENDED, can=set(), state={"identity": "known", "presence": "gone", "knock": None, "access": False}),
    ),
    "composer-preview": ("_composer.html", "case", a_case(composer=a_composer(preview={**WARNED, "segments": None, "vnd": None}))),
    "team": ("team.html", "team", TEAM),
    "team-empty": ("team.html", "team", {"people": TEAM["people"][1:], "waiting": WAITING, "unclaimed": []}),
    "directory": ("directory.html", "directory", DIRECTORY),
    "directory-empty": ("directory.html", "directory", {**DIRECTORY, "entries": []}),
    "audit": ("audit.html", "audit", AUDIT),
    "audit-broken": (
        "audit.html",
        "audit",
        {**AUDIT, "chain": {"whole": False, "broken_at": 1203, "checked": 1202}, "head": None},
    ),
    "audit-empty": ("audit.html", "audit", {**AUDIT, "rows": [], "chain": None}),
    "settings": ("settings.html", "settings", SETTINGS),
    "settings-bare": (
        "settings.html",
        "settings",
        {"settings": {**SETTINGS["settings"], "staffed": False, "holidays": [], "recovery_set": True, "reporting_set": True}},
    ),
    "second": ("second.html", "second", SECOND),
    "second-empty": ("second.html", "second", {"waiting": [], "decided": []}),
    "sheet": ("sheet.html", "sheet", SHEET),
    "sheet-emergency": (
        "sheet.html",
        "sheet",
        {"sheet": {**SHEET["sheet"], "basis": "emergency", "reason": "Đang bị đánh.", "consent_words": None, "number": "+84 90 000 00 00"}},
    ),
    "alerts": ("alerts.html", "alerts", ALERTS),
    "alerts-empty": (
        "alerts.html",
        "alerts",
        {**ALERTS, "proposals": [], "waiting": [], "open": [], "drafts": [], "ended": [], "pages": 1, "schedules_waiting": 0},
    ),
    "alert": ("alert.html", "alert", ALERT),
    "alert-waiting": ("alert.html", "alert", WAITING_ALERT),
    "alert-own": ("alert.html", "alert", {**WAITING_ALERT, "alert": an_alert(status="waiting", source=None), "can": frozenset()}),
    "alert-over": ("alert.html", "alert", {**ALERT, "alert": an_alert(status="done", done_at=NOW), "progress": {**PROGRESS, "failures": [], "forgotten": None, "of": 0}}),
    "alert-part": ("_alert_live.html", "alert", {**ALERT, "seen": "running"}),
    "alert-part-moved": ("_alert_live.html", "alert", {**ALERT, "seen": "scheduled"}),
    "alert-form": ("alert_form.html", "alert_form", ALERT_FORM),
    "alert-form-empty": ("alert_form.html", "alert_form", {**ALERT_FORM, "form": {"when": "now"}, "preview": None, "blanks": [], "none_set_up": True}),
    "alert-form-wrong": (
        "alert_form.html",
        "alert_form",
        {**ALERT_FORM, "alert": "K7M2QXAB", "problem": "changed", "preview": {**CALM, "audience": None},
         "wrong": {"title": "title", "channels": "channel", "places": "place", "until_day": "late", "start_hour": "hour", "budget": "budget", "source_date": "day"}},
    ),
    "alert-receipts": ("alert_receipts.html", "alert_receipts", RECEIPTS),
    "alert-receipts-empty": ("alert_receipts.html", "alert_receipts", {**RECEIPTS, "rows": [], "page": 1, "more": False}),
    "alert-schedules": ("alert_schedules.html", "alert_schedules", SCHEDULES),
    "alert-schedules-empty": ("alert_schedules.html", "alert_schedules", {"rows": [], "broken": 0}),
    "alert-schedule-form": ("alert_schedule_form.html", "alert_schedule_form", SCHEDULE_FORM),
    "alert-schedule-form-wrong": (
        "alert_schedule_form.html",
        "alert_schedule_form",
        {**SCHEDULE_FORM, "wrong": {name: name for name in ("every", "weekday", "monthday", "hour", "hours", "last")}},
    ),
    "service": ("service.html", "service", SERVICE),
    "service-empty": ("service.html", "service", {**SERVICE, "messages": {**SERVICE["messages"], "understood": None}}),
    "content": ("content.html", "content", CONTENT),
    "content-empty": ("content.html", "content", {**CONTENT, "groups": [], "old": [], "messages": {**CONTENT["messages"], "understood": None}}),
    "error-alert": ("error.html", "error", {**ERROR, "detail": "changed", "about": "alert"}),
    "error": ("error.html", "error", ERROR),
    "error-nobody": ("error.html", "error", {"error": "missing", "back": "/console/login", "detail": None, "about": "case", **NOBODY}),
}  # fmt: skip


def render(name: str, language: str) -> str:
    """One page as HTML, with made-up data; jinja2.UndefinedError where the template asks for what is not documented."""
    template, page, context = PAGES[name]
    return strict_environment().get_template(f"console/{template}").render(common(language, page, **context))
