"""Links that are mailed and work once: their secret is worked out from a key, so that it need not be kept.

The table holds the hash of the secret. Whoever reads the table cannot make a link; the server and the jobs,
which have the key, can.
"""

import base64
import hashlib
import hmac
from uuid import UUID

PATHS = {
    "reset_password": "/password-resets",
    "confirm_email": "/confirmations",
    "decide_step": "/decisions",
    "answer_offer": "/offers",
    "answer_proposal": "/proposals",
    "answer_calendar": "/calendar-questions",
    "join": "/joinings",
}
"""Where the links of each purpose lead."""


def secret(key: str, link_id: UUID) -> str:
    """Give the secret of a link: HMAC-SHA-256 of its id."""
    digest = hmac.digest(key.encode(), b"one-time-link:" + link_id.bytes, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def hashed(found: str) -> bytes:
    """Give what the table keeps of a secret."""
    return hashlib.sha256(found.encode("utf-8", "surrogatepass")).digest()


def address(public_url: str, purpose: str, key: str, link_id: UUID) -> str:
    """Give the full address that goes into the mail."""
    return f"{public_url.rstrip('/')}{PATHS[purpose]}/{link_id}/{secret(key, link_id)}"
