"""Reads what rcseal-rcs writes, with the standard library and with the grammar of RFC 4975.

Standard input: one document in hexadecimal digits a line. Standard output: a list of what was read, as JSON.
"""

import datetime
import email.parser
import email.utils
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

CORE = "urn:ietf:params:cpim-headers:"


def headers(block):
    parsed = email.parser.BytesHeaderParser().parsebytes(block)
    text = lambda value: value.encode("ascii", "surrogateescape").decode("utf-8")
    return [(text(name), text(value)) for name, value in parsed.raw_items()]


def address(value):
    name, uri = value.rsplit("<", 1)
    return [email.utils.unquote(name.strip()), uri.removesuffix(">")]


def cpim(document):
    about, _, rest = document.partition(b"\r\n\r\n")
    content, _, body = rest.partition(b"\r\n\r\n")
    read = {"headers": [], "content": [list(header) for header in headers(content + b"\r\n\r\n")], "body": body.hex()}
    prefixes = {}
    for name, value in headers(about + b"\r\n\r\n"):
        if name == "NS":
            prefix, uri = re.fullmatch(r"(\S+) <(\S+)>", value).groups()
            prefixes[prefix] = uri
        elif name in ("From", "To"):
            read[name.lower()] = address(value)
        elif name == "DateTime":
            moment = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
            epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
            read["date_time_ms"] = (moment - epoch) // datetime.timedelta(milliseconds=1)
        else:
            prefix, local = name.split(".", 1)
            read["headers"].append([prefixes[prefix], local, value])
    return read


def imdn(document):
    space = "{urn:ietf:params:xml:ns:imdn}"
    root = ElementTree.fromstring(document)
    (notification,) = [child for child in root if child.tag.endswith("-notification")]
    (status,) = list(notification.find(space + "status"))
    arm = status.find(space + "mls-client-failure-reason")
    local = lambda element: element.tag.removeprefix(space)
    return {
        "message_id": root.findtext(space + "message-id"),
        "datetime": root.findtext(space + "datetime"),
        "recipient": root.findtext(space + "recipient-uri"),
        "status": [local(notification), local(status), None if arm is None else local(arm[0])],
        "again": ElementTree.tostring(root, encoding="unicode"),
    }


FRAME = re.compile(
    rb"MSRP ([A-Za-z0-9][A-Za-z0-9.\-+%=]{3,31}) ([A-Z]+|\d{3})(?: [^\r\n]*)?\r\n"
    rb"((?:[^\r\n:]+: [^\r\n]*\r\n)+)"
    rb"(?:\r\n(.*?)\r\n)?-------\1([$+#])\r\n",
    re.DOTALL,
)


def msrp(document):
    frames, at = [], 0
    while at < len(document):
        match = FRAME.match(document, at)
        transaction, word, lines, body, _flag = match.groups()
        frames.append(
            {
                "start": [transaction.decode(), word.decode()],
                "headers": dict(line.split(": ", 1) for line in lines.decode().split("\r\n") if line),
                "body": None if body is None else body.hex(),
            }
        )
        at = match.end()
    return frames


READERS = {"cpim": cpim, "imdn": imdn, "msrp": msrp}
json.dump([READERS[sys.argv[1]](bytes.fromhex(line.strip())) for line in sys.stdin], sys.stdout)
