import base64, hashlib, hmac, os, time

SECRET = base64.b64decode(os.environ["KEYTURN_WEBHOOK_SECRET"].removeprefix("whsec_"))


def is_genuine(headers, body):
    """headers: lower-case names. body: raw request bytes."""
    message_id, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(at)) > 300:
        return False
    signed = f"{message_id}.{at}.".encode() + body
    digest = hmac.new(SECRET, signed, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    given = headers["webhook-signature"].encode().split(b" ")
    return any(hmac.compare_digest(expected, one) for one in given)
