"""Kernel lines out of what people keep them in: logs with prefixes, mails with quotes, saved pages.

The formats are those of printk (with and without its caller), dmesg's options, journalctl, syslog, logcat and
the vendors' kernels for phones; mails as text, quoted-printable or base64; HTML as syzbot's pages are.
"""

from __future__ import annotations

import email
import html
import quopri
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default as mail_policy
from pathlib import Path
from typing import BinaryIO

from ring3.errors import BadInput

#: A file up to this size is read as a whole: mails and pages cannot be taken apart line by line.
MAX_BYTES = 16 << 20
MAX_LINES = 500_000
MAX_LINE = 2000
#: Of a larger log, so many lines from the headline of a report on are read.
NEAR = 3000

_TIME = r"\d\d:\d\d:\d\d"
_PREFIXES = re.compile(
    rf"""(?: [>|]+[ ]?                                            # quoted in a mail
    | \+[ ]                                                        # a line of a diff
    | \d{{1,9}}[ ](?=[A-Z][a-z]{{2}}[ ]{{1,2}}\d)                        # numbered lines
    | (?:[A-Z][a-z]{{2}}[ ]{{1,2}}\d{{1,2}}[ ]{_TIME}|\d{{4}}-\d\d-\d\d[T ]\S{{8,32}})[ ]
        \S{{1,255}}[ ]kernel(?:\[\d{{1,10}}\])?:[ ]?                     # syslog, journalctl
    | \d{{4}}-\d\d-\d\dT{_TIME}\S{{0,20}}[ ]                         # dmesg --time-format iso, runners
    | \d\d-\d\d[ ]{_TIME}\.\d{{1,9}}[ ]{{1,8}}(?:
        (?:\w{{1,32}}[ ]{{1,8}})?\d{{1,10}}[ ]{{1,8}}\d{{1,10}}[ ][VDIWEF][ ]\w{{0,32}}[ ]{{0,32}}:[ ]
        | [VDIWEF]/\w{{1,32}}[ ]{{0,8}}\([ ]{{0,8}}\d{{1,10}}\):[ ])      # logcat
    | kern[ ]{{1,4}}:\w{{1,8}}[ ]{{0,4}}:[ ]?                        # dmesg -x
    | <\d{{1,3}}>                                                  # a raw log level
    | \[[ ]{{0,12}}\+?\d{{1,12}}\.\d{{1,9}}(?:[ ]<[ ]{{0,12}}\d{{1,9}}\.\d{{1,9}}>)?\][ ]?
        (?:[\w.-]{{1,255}}[ ]kernel:[ ])?              # seconds; dmesg -d; journalctl's short-monotonic
    | \[[A-Z][a-z]{{2}}[ ]?\d{{1,2}}[ ]\d\d:\d\d\][ ]?                  # dmesg -e
    | \[[A-Z][a-z]{{2}}[ ][A-Z][a-z]{{2}}[ ]{{1,2}}\d{{1,2}}[ ]{_TIME}[ ]\d{{4}}\][ ]?   # dmesg -T
    | \[[ ]{{0,8}}[TC]\d{{1,10}}\][ ]?                               # printk's caller: task or CPU
    | [ ]?\[\d{{1,4}}:[ ]{{0,15}}[^\]:]{{1,16}}:[ ]{{0,8}}\d{{1,10}}\][ ]    # CPU, task and pid
    | \.?\(\d{{1,4}}\)\[\d{{1,10}}:[^\]:]{{1,16}}\]                      # the same, another vendor's
    | \#012 )""",
    re.VERBOSE,
)
_HEADLINE = re.compile(rb"WARNING: |INFO: |\[ BUG: |page allocation failure")
_MAIL = re.compile(rb"(?:From |[A-Za-z][\w-]{0,40}: )")
_TAG = re.compile(
    r"</?(?:a|b|i|u|p|em|hr|br|td|th|tr|h[1-6]|li|ul|ol|tt|div|pre|sup|code|font|span|body|html|head|table|strong"
    r"|tbody|thead|title|script|style|link|meta|img)(?:\s[^<>]{0,1000})?/?>"
)


def read(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file, numbered from 1, as the kernel printed them.

    Of a log over 16 MiB only what follows a headline is read.  Raises BadInput when that is over MAX_LINES
    lines.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            yield from _near_headlines(data, file, path)
            return
    if data.count(b"\n") > MAX_LINES:
        raise _too_long(path)
    yield from lines(_text(data))


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of ``text``, numbered from 1, without what was put in front of them."""
    for number, line in enumerate(text.split("\n"), 1):
        yield number, bare(line)


def bare(line: str) -> str:
    """``line`` as the kernel printed it."""
    line = line[:MAX_LINE].rstrip()
    while True:
        hit = _PREFIXES.match(line)
        if hit is None or not hit.end():
            return line
        line = line[hit.end() :]


def _near_headlines(begun: bytes, file: BinaryIO, path: Path) -> Iterator[tuple[int, str]]:
    whole, _, rest = begun.rpartition(b"\n")
    left = kept = number = 0

    def every() -> Iterator[bytes]:
        yield from whole.split(b"\n")
        yield rest + file.readline(1 << 20)
        unbroken = 0
        while line := file.readline(1 << 20):
            yield line
            unbroken = 0 if line.endswith(b"\n") else unbroken + 1
            if unbroken > 64:
                raise BadInput("no text: a line of over 64 MiB", where=str(path))

    for number, line in enumerate(every(), 1):
        if _HEADLINE.search(line[:MAX_LINE]):
            left = NEAR
        if not left:
            continue
        left -= 1
        kept += 1
        if kept > MAX_LINES:
            raise _too_long(path)
        yield number, bare(line[:MAX_LINE].decode(errors="replace"))


def _too_long(path: Path) -> BadInput:
    return BadInput(f"over {MAX_LINES:,} lines", where=str(path), remedy="cut out the report")


def _text(data: bytes) -> str:
    """A mail's text, a page's text, or the text as it is."""
    if _MAIL.match(data) and b"content-transfer-encoding:" in data[: 1 << 20].lower():
        text = _mail_text(data)
    elif b"=3D" in data and re.search(rb"=\r?\n", data):
        text = quopri.decodestring(data).decode(errors="replace")
    else:
        text = data.decode(errors="replace")
    if _TAG.search(text):
        text = html.unescape(_TAG.sub("", text))
    return text


def _mail_text(data: bytes) -> str:
    """The parts of a mail that are text."""
    message = email.message_from_bytes(data, policy=mail_policy)
    found = []
    for part in message.walk():
        if isinstance(part, EmailMessage) and part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                found.append(payload.decode(errors="replace"))
    return "\n".join(found)
