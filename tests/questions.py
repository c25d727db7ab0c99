"""Questions without an answer, as eleven people have asked them."""

from bot.store.database import Database
from bot.testing import START
from bot.unanswered import AT_LEAST
from bot.unanswered.kept import Questions


def keep_questions(database: Database) -> None:
    questions = Questions()
    for number in range(AT_LEAST):
        questions.add(f"person {number}", ("mang", "thuoc", "tay"), START)
    assert questions.keep(database, START) == AT_LEAST
