"""The console: what the staff see. Every page asks `bot.web.console.security` who is there."""
