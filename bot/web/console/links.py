"""The one-time link of an invitation. Its code is in the fragment, which no browser sends and no server logs."""

from bot.config import Config


def invitation_link(config: Config, code: str, base: str | None = None) -> str:
    """`base`: where the console is open just now; otherwise what config.yml says."""
    web = config.bot.web
    host = f"[{web.host}]" if ":" in web.host else web.host
    root = web.public or base or f"http://{host}:{web.port}"
    return f"{root.rstrip('/')}/console/welcome#{code}"
