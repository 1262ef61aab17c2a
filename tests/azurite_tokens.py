"""An identity that has signed in, as far as Azurite looks at it."""

from __future__ import annotations

import time

import jwt
from azure.core.credentials import AccessToken

SOMEBODY = "11111111-1111-1111-1111-111111111111"


class Tokens:
    """A credential whose tokens Azurite takes, which reads their claims and checks no signature; and how many
    it has given."""

    def __init__(self, lasting_seconds: int = 600) -> None:
        self.lasting_seconds = lasting_seconds
        self.given = 0

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        self.given += 1
        now = int(time.time())
        claims = {"aud": "https://storage.azure.com", "iss": f"https://sts.windows.net/{SOMEBODY}/"}
        claims |= {"tid": SOMEBODY, "oid": SOMEBODY}
        token = jwt.encode({**claims, "iat": now - 60, "nbf": now - 60, "exp": now + 600}, "k" * 32)
        return AccessToken(token, now + self.lasting_seconds)
