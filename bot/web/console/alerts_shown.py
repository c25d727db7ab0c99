"""Alerts as the console's templates want them: how they would leave, for whom and for how much; where they stand."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from bot.app import App
from bot.outreach import progress, report, words
from bot.outreach.audience import Audience, Count
from bot.outreach.broadcasts import Broadcast
from bot.outreach.progress import SHOWN_FROM, Progress
from bot.outreach.terms import Terms
from bot.outreach.words import CHANNELS, LANGUAGES, Words

UNDER_WAY = ("queued", "claimed", "sending")


def set_up(house: App) -> tuple[str, ...]:
    """The channels for alerts that are set up here."""
    return tuple(one for one in CHANNELS if one in house.alert_terms.channels)


def found_problems(house: App, wanted: Words, valid_until: dt.datetime | None, now: dt.datetime) -> list[words.Problem]:
    terms = house.alert_terms
    return words.problems(
        wanted,
        valid_until=valid_until,
        now=now,
        library=house.library,
        sizes=terms.sizes,
        advertising=terms.advertising,
    )


class ShownAlerts:
    """Values for one reader: in their language, with the names of colleagues."""

    def __init__(self, house: App, language: str, names: Mapping[str, str], me: str) -> None:
        self.house, self.language, self.names, self.me = house, language, names, me
        self.library = house.library
        self.words = house.library.console(language)

    # -- how it would leave --------------------------------------------------------------------------------------------

    def preview(
        self,
        wanted: Words,
        audience: Audience,
        counted: Count | None,
        budget_vnd: int,
        valid_until: dt.datetime | None,
        now: dt.datetime,
    ) -> dict[str, Any]:
        """`counted`: None where the audience is not asked for."""
        terms = self.house.alert_terms
        seen = words.preview(
            wanted,
            self.library,
            sizes=terms.sizes,
            vnd_per_segment=terms.vnd_per_segment,
            advertising=terms.advertising,
        )
        return {
            "previews": [self._one(one) for one in seen if one.channel in audience.channels],
            "problems": [
                self._problem(one, wanted.template) for one in found_problems(self.house, wanted, valid_until, now)
            ],
            "audience": counted and self._counted(terms, wanted, audience, counted, budget_vnd),
        }

    def _one(self, one: words.Preview) -> dict[str, Any]:
        return {
            "channel": one.channel,
            "language": one.language,
            "text": one.text,
            "buttons": one.buttons,
            "opening": one.opening,
            "segments": one.segments,
            "units": one.units,
            "encoding": one.encoding,
            "vnd": report.grouped(one.vnd, self.language),
            "cut": one.cut,
            "doubtful": [
                {"written": written, "note": word.note.in_language(self.language)} for written, word in one.doubtful
            ],
        }

    def _problem(self, one: words.Problem, template: str | None) -> dict[str, Any]:
        known = self.library.alerts[template].blanks if template in self.library.alerts else {}
        causes = [known[word].what.in_language(self.language) if word in known else word for word in one.words]
        told = self.words["alert_problems"][one.code].format(words="; ".join(causes))
        return {"text": told, "channel": one.channel, "language": one.language}

    def _counted(
        self, terms: Terms, wanted: Words, audience: Audience, counted: Count, budget_vnd: int
    ) -> dict[str, Any]:
        """Nobody learns of one person by choosing a small audience: below eleven the page says so, and reckons with ten."""
        groups, most_vnd, sure, few = [], 0, 0, False
        for channel in audience.channels:
            for language in audience.languages or LANGUAGES:
                number = counted.people.get((channel, language), 0)
                reckoned = max(number, SHOWN_FROM - 1)
                each = terms.message(wanted, language, channel).vnd if wanted.languages else 0
                most_vnd += each * reckoned
                few, sure = few or number < SHOWN_FROM, sure + (number if number >= SHOWN_FROM else 0)
                groups.append(
                    {
                        "channel": channel,
                        "language": language,
                        "people": report.people(number, self.language),
                        "segments": each // terms.vnd_per_segment if terms.vnd_per_segment else 0,
                        "vnd": report.grouped(each * reckoned, self.language),
                        "paid": each > 0,
                        "few": number < SHOWN_FROM,
                    }
                )
        total = report.people(counted.size if not few else sure, self.language)
        return {
            "groups": groups,
            "total": f"{total} + {progress.few(0)}" if few and sure else total,
            "left_out": self.left_out(progress.merged(counted.left_out)),
            "vnd": report.grouped(most_vnd, self.language),
            "paid": most_vnd > 0,
            "few": few,
            "over": most_vnd > budget_vnd,
            "budget": report.grouped(budget_vnd, self.language),
        }

    def left_out(self, reasons: Mapping[str, int]) -> list[dict[str, str]]:
        rows = report.left_out_rows(reasons, self.library, self.language)
        return [{"people": number, "why": why} for number, why in rows]

    # -- one alert -----------------------------------------------------------------------------------------------------

    def alert(self, broadcast: Broadcast) -> dict[str, Any]:
        plan = broadcast.plan
        return {
            "reference": broadcast.reference,
            "title": plan.words.title,
            "status": broadcast.status,
            "why": broadcast.why,
            "digest": broadcast.digest,
            "author": self.name(broadcast.author_id),
            "mine": broadcast.author_id == self.me,
            "approved_by": self.name(broadcast.approved_by),
            "created_at": broadcast.created_at,
            "submitted_at": broadcast.submitted_at,
            "approved_at": broadcast.approved_at,
            "starts_at": broadcast.starts_at or plan.starts_at,
            "valid_until": plan.valid_until,
            "done_at": broadcast.done_at,
            "urgent": plan.urgent,
            "source": plan.words.source,
            "size": report.people(broadcast.size, self.language) if broadcast.submitted_at else None,
            "budget": report.grouped(plan.budget_vnd, self.language),
            "budget_vnd": plan.budget_vnd,
            "reserved": report.grouped(broadcast.reserved_vnd, self.language),
            "again": broadcast.schedule_id is not None,
            "expanded": broadcast.expanded_at is not None,
            "audience": self.audience(plan.audience),
        }

    def audience(self, wanted: Audience) -> list[report.Row]:
        return list(report.audience_rows(wanted, self.library, self.language))

    def money(self, vnd: int) -> str:
        return report.grouped(vnd, self.language)

    def name(self, staff_id: str | None) -> str | None:
        return self.names.get(staff_id, "?") if staff_id else None

    def progress(self, broadcast: Broadcast, found: Progress) -> dict[str, Any]:
        seconds = found.seconds_left
        states = {name: number for name, number in found.states.items() if name not in UNDER_WAY}
        under_way = sum(found.states.get(name, 0) for name in UNDER_WAY)
        if under_way:
            states["under_way"] = under_way
        return {
            "over": found.over,
            "of": max(found.over, found.waiting + sum(found.states.values())),
            "waiting": report.grouped(found.waiting, self.language),
            "states": [
                {"name": name, "people": report.grouped(number, self.language)} for name, number in states.items()
            ],
            "left_out": self.left_out(found.left_out),
            "failures": [
                {
                    "why": report.failure(code, self.library, self.language),
                    "people": report.grouped(number, self.language),
                }
                for code, number in found.failures.items()
            ],
            "came_back": [
                {"kind": kind, "people": report.people(found.came_back.get(kind, 0), self.language)}
                for kind in progress.CAME_BACK
            ],
            "forgotten": report.people(found.forgotten, self.language) if found.forgotten else None,
            "spent": report.grouped(found.spent_vnd, self.language),
            "budget": report.grouped(broadcast.plan.budget_vnd, self.language),
            "rate": report.grouped(round(found.per_second * 60), self.language),
            "minutes_left": None if seconds is None else max(1, round(seconds / 60)),
        }
