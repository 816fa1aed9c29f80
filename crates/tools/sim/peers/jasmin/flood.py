"""Another client, for the measure: how many submissions an SMSC answers in a second when it is kept busy in one window.

It makes one PDU once and changes its sequence number; it reads answers and does nothing with them. What it reaches is the SMSC's own limit
on this machine. Prints the answers per second. Standard library only.
"""

import asyncio
import struct
import sys
import time


async def read(reader):
    header = await reader.readexactly(16)
    length, command, status, sequence = struct.unpack("!IIII", header)
    await reader.readexactly(length - 16)
    return command, status, sequence


async def main(port, system_id, password, target, count, window):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = system_id.encode() + b"\0" + password.encode() + b"\0\0\x34\0\0\0"
    writer.write(struct.pack("!IIII", 16 + len(body), 2, 0, 1) + body)
    _, status, _ = await read(reader)
    if status:
        sys.exit("not bound: %d" % status)
    words = b"one of many, as short as a one-time code: 123456"
    body = b"\0\5\0RCSeal\0\1\1" + target.encode() + b"\0" + bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, len(words)]) + words
    sequence, answered, refused = 1, 0, 0
    since = time.monotonic()

    def submit(how_many):
        nonlocal sequence
        pdus = []
        for _ in range(how_many):
            sequence += 1
            pdus.append(struct.pack("!IIII", 16 + len(body), 4, 0, sequence) + body)
        writer.write(b"".join(pdus))

    submit(min(window, count))
    while answered < count:
        command, status, _ = await read(reader)
        if command != 0x80000004:
            continue
        answered += 1
        refused += status != 0
        if sequence - 1 < count:
            submit(1)
    print("%.1f %d" % (count / (time.monotonic() - since), refused))
    writer.close()


if __name__ == "__main__":
    port, system_id, password, target, count, window = sys.argv[1:]
    asyncio.run(main(int(port), system_id, password, target, int(count), int(window)))
