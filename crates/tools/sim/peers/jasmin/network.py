"""The network behind the SMSC, with phones in it: a stand-in, and not the peer that is tested.

Jasmin's own client binds here and submits what it was given. Each message is written to the log as one line, so that a test can compare
octets:

    SUBMIT <from> <to> <esm class> <data coding> <registered delivery> <octets in hexadecimal>

What becomes of a message is told by the last digit of the number it is for: 1 delivered, 2 undeliverable, 3 expired, 4 rejected, 5 delivered
and answered with the same octets by a message of its own, 6 refused at once as an unknown address, 7 delivered, its receipt by parameters
alone, 8 no word ever. Standard library only.
"""

import asyncio
import struct
import sys

BIND = {1: "receiver", 2: "transmitter", 9: "transceiver"}
SUBMIT, DELIVER, UNBIND, ENQUIRE, RESPONSE = 4, 5, 6, 0x15, 0x80000000
STATES = {"1": ("DELIVRD", 2), "2": ("UNDELIV", 5), "3": ("EXPIRED", 3), "4": ("REJECTD", 8), "5": ("DELIVRD", 2), "7": ("DELIVRD", 2)}


def pdu(command, status, sequence, body=b""):
    return struct.pack("!IIII", 16 + len(body), command, status, sequence) + body


class Session(asyncio.Protocol):
    """One connection of the SMSC."""

    count = 0

    def __init__(self, log):
        self.log, self.buffer, self.sequence = log, b"", 0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        buffer = self.buffer + data
        at, answers = 0, []
        while len(buffer) - at >= 16:
            (length,) = struct.unpack_from("!I", buffer, at)
            if not 16 <= length <= 65536:
                return self.transport.close()
            if len(buffer) - at < length:
                break
            answers += self.take(buffer[at : at + length])
            at += length
        self.buffer = buffer[at:]
        self.transport.write(b"".join(answers))
        if self.log:
            self.log.flush()

    def take(self, bytes_):
        _, command, _, sequence = struct.unpack_from("!IIII", bytes_)
        body = bytes_[16:]
        if command in BIND:
            return [pdu(command | RESPONSE, 0, sequence, b"network\0")]
        if command == SUBMIT:
            return self.submit(sequence, body)
        if command in (ENQUIRE, UNBIND):
            return [pdu(command | RESPONSE, 0, sequence)]
        return []

    def submit(self, sequence, body):
        _, rest = body.split(b"\0", 1)
        source, rest = rest[2:].split(b"\0", 1)
        target, rest = rest[2:].split(b"\0", 1)
        esm_class, rest = rest[0], rest[3:]
        _, _, rest = rest.split(b"\0", 2)
        registered, coding, length = rest[0], rest[2], rest[4]
        words, parameters = rest[5 : 5 + length], rest[5 + length :]
        words = words or payload(parameters)
        if self.log:
            line = (source.decode(), target.decode(), esm_class, coding, registered, words.hex() or "-")
            self.log.write("SUBMIT %s %s %d %d %d %s\n" % line)
        fate = target[-1:].decode()
        if fate == "6":
            return [pdu(SUBMIT | RESPONSE, 0x0B, sequence)]
        Session.count += 1
        name = b"%08d" % Session.count
        answers = [pdu(SUBMIT | RESPONSE, 0, sequence, name + b"\0")]
        if registered & 3 and fate in STATES:
            answers.append(self.receipt(name, source, target, fate))
        if fate == "5":
            answers.append(self.deliver(target, source, esm_class, coding, words))
        return answers

    def receipt(self, name, source, target, fate):
        word, number = STATES[fate]
        text = "id:%s sub:001 dlvrd:001 submit date:2611230000 done date:2611230001 stat:%s err:%s text:" % (
            name.decode(),
            word,
            "000" if number == 2 else "027",
        )
        parameters = struct.pack("!HH", 0x1E, len(name) + 1) + name + b"\0" + struct.pack("!HHB", 0x427, 1, number)
        text = b"" if fate == "7" else text.encode()
        return self.deliver(target, source, 4, 0, text, parameters)

    def deliver(self, source, target, esm_class, coding, words, parameters=b""):
        self.sequence += 1
        body = b"\0\1\1" + source + b"\0\1\1" + target + b"\0" + bytes([esm_class, 0, 0, 0, 0, 0, 0, coding, 0, len(words)])
        return pdu(DELIVER, 0, self.sequence, body + words + parameters)


def payload(parameters):
    while len(parameters) >= 4:
        tag, length = struct.unpack_from("!HH", parameters)
        if tag == 0x424:
            return parameters[4 : 4 + length]
        parameters = parameters[4 + length :]
    return b""


async def main(port, log):
    log = open(log, "w") if log != "-" else None
    server = await asyncio.get_running_loop().create_server(lambda: Session(log), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
