"""Prints the lines of standard input that are secrets of API keys with a right checksum."""

import re
import sys
import zlib

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def is_secret(text: str) -> bool:
    if not re.fullmatch(r"[a-z0-9]{2,16}_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}", text):
        return False
    body, checksum = text[:-6], text[-6:]
    number = zlib.crc32(body.encode())
    expected = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        expected = DIGITS[digit] + expected
    return checksum == expected


for line in sys.stdin:
    if is_secret(line.strip()):
        print(line.strip())
