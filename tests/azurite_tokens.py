"""An identity that has signed in, as far as Azurite looks at it."""

from __future__ import annotations

import time

import jwt
from azure.core.credentials import AccessToken

SOMEBODY = "11111111-1111-1111-1111-111111111111"


class Tokens:
    """A credential whose tokens Azurite takes: it reads their claims and checks no signature."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        now = int(time.time())
        claims = {"aud": "https://storage.azure.com", "iss": f"https://sts.windows.net/{SOMEBODY}/"}
        claims |= {"tid": SOMEBODY, "oid": SOMEBODY}
        token = jwt.encode({**claims, "iat": now - 60, "nbf": now - 60, "exp": now + 600}, "k" * 32)
        return AccessToken(token, now + 600)
