from bot.store.crypto import Keyring


def tag(keyring: Keyring, kind: str, code: str) -> str:
    return keyring.lookup(kind, code)[:32]
