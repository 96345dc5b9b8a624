"""Whether the `scope` claim of a token allows an action on a resource."""

import re

# Printable ASCII without " # % * / and \\. Nothing is decoded or normalized.
SEGMENT = re.compile(r"[!$&-)+-.0-\[\]-~]+")


def allows(scope: str, action: str, resource: str) -> bool:
    return is_resource(resource) and any(_covers(granted, action, resource) for granted in scope.split(" "))


def is_resource(text: str) -> bool:
    return all(segment not in (".", "..") and SEGMENT.fullmatch(segment) for segment in text.split("/"))


def _covers(granted: str, action: str, resource: str) -> bool:
    granted_action, _, pattern = granted.partition(":")
    if granted_action not in ("*", action):
        return False
    # An action alone means every resource.
    patterns = (pattern or "*").split("/")
    segments = resource.split("/")
    # No wildcard reaches Keyturn's own management API.
    if segments[0] == "keyturn" and patterns[0] != "keyturn":
        return False
    for place, pattern in enumerate(patterns):
        if pattern == "*":
            return len(segments) > place
        if place >= len(segments) or pattern not in ("#", segments[place]):
            return False
    return len(segments) == len(patterns)
