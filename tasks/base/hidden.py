"""Secrets that this process has read, which no text that is shown may have."""

MARK = "********"
# Of a shorter one all texts are full.
HIDDEN_LENGTH = 4

_hidden: frozenset[str] = frozenset()


def hide_from_now_on(secret: str) -> None:
    """Have `hide` know this secret. Of one of several lines each, as a log shows them one by one."""
    global _hidden
    parts = {secret, secret.strip(), *(line.strip() for line in secret.splitlines())}
    _hidden |= {part for part in parts if len(part) >= HIDDEN_LENGTH}


def hide(text: str) -> str:
    """The text with a mark in the place of each secret; also of the rest of one, where the text is the end of
    a longer one that was cut there."""
    for secret in sorted(_hidden, key=len, reverse=True):
        text = text.replace(secret, MARK)
    for secret in _hidden:
        text = _hide_rest(text, secret)
    return text


def _hide_rest(text: str, secret: str) -> str:
    longest = min(len(secret) - 1, len(text))
    for length in range(longest, HIDDEN_LENGTH - 1, -1):
        if text.startswith(secret[-length:]):
            return MARK + text[length:]
    return text
