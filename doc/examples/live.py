#!/usr/bin/env python3
"""Two people talking live over WebSockets, with nothing but the standard library.

Opens two sockets, registers a user on each, says hello, sends messages both
ways and prints them as they arrive. Then it reads the history in pages and
compares it with what arrived.

    live.py [URL]          or RUGGINE_URL, default http://127.0.0.1:8443

It makes new users each time; a server with the default limits takes ten
registrations from one address at once, then one every six minutes. With https,
a private certificate authority can be named by the environment variable
SSL_CERT_FILE.
"""

import base64
import collections
import hashlib
import json
import os
import secrets
import socket
import ssl
import struct
import sys
import time
import urllib.parse
import uuid

SUBPROTOCOL = "ruggine.v1.json"
FRAME_MAX = 576 * 1024  # the largest message that a server sends
PATIENCE = 15.0  # seconds to wait for anything


class Failure(Exception):
    """Something that this program did not expect."""


class Ended(Failure):
    """The connection is over."""


class Refusal(Failure):
    """An error that the server answered."""

    def __init__(self, method: str, error: dict) -> None:
        super().__init__(f"{method}: {error['code']}: {error['message']} {error.get('details', '')}".rstrip())
        self.code = error["code"]


class WebSocket:
    """As much of RFC 6455 as a client of text messages needs."""

    TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Failure(f"not an http or https address: {url}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.socket = socket.create_connection((parts.hostname, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=parts.hostname)
        self.received = b""
        self.handshake(parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + "/v1/ws")

    def handshake(self, host: str, path: str) -> None:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        request = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
        ]
        self.socket.sendall(("\r\n".join(request) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.received:
            if len(self.received) > 16 * 1024:
                raise Failure("the handshake's answer is too long")
            self.receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        if status.split(" ")[1:2] != ["101"]:
            raise Failure(f"no WebSocket: {status} {self.received.decode(errors='replace')}")
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        proof = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if headers.get("sec-websocket-accept") != base64.b64encode(proof).decode():
            raise Failure("the handshake's answer does not fit the request")
        if headers.get("sec-websocket-protocol") != SUBPROTOCOL:
            raise Failure(f"the server does not speak {SUBPROTOCOL}")

    def receive(self) -> None:
        """Waits for more bytes."""
        more = self.socket.recv(64 * 1024)
        if not more:
            raise Ended("the server closed the connection without a word")
        self.received += more

    def take(self, count: int) -> bytes:
        while len(self.received) < count:
            self.receive()
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def frame(self) -> tuple[bool, int, bytes]:
        """The next frame: whether it is the last of its message, its kind, its bytes."""
        first, second = self.take(2)
        if first & 0x70 or second & 0x80:
            raise Failure("a frame with extension bits or a mask")
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.take(8))
        if length > FRAME_MAX:
            raise Failure(f"a frame of {length} bytes")
        return bool(first & 0x80), first & 0x0F, self.take(length)

    def send(self, kind: int, data: bytes) -> None:
        """Sends one frame, masked as a client must."""
        if len(data) < 126:
            length = struct.pack("!B", 0x80 | len(data))
        elif len(data) < 1 << 16:
            length = struct.pack("!BH", 0x80 | 126, len(data))
        else:
            length = struct.pack("!BQ", 0x80 | 127, len(data))
        mask = secrets.token_bytes(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self.socket.sendall(bytes([0x80 | kind]) + length + mask + masked)

    def next_text(self, deadline: float) -> str:
        """The next text message. Answers pings on the way."""
        message = b""
        while True:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            last, kind, data = self.frame()
            if kind == self.PING:
                self.send(self.PONG, data)
            elif kind == self.CLOSE:
                code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
                raise Failure(f"the server closed with {code} {data[2:].decode(errors='replace')}".rstrip())
            elif kind in (0x0, self.TEXT):
                message += data
                if len(message) > FRAME_MAX:
                    raise Failure("a message that is too long")
                if last:
                    return message.decode()
            elif kind != self.PONG:
                raise Failure(f"a frame of kind {kind}")

    def close(self) -> None:
        """Says goodbye and waits for the answer, or for the end."""
        self.send(self.CLOSE, struct.pack("!H", 1000))
        self.socket.settimeout(PATIENCE)
        try:
            while self.frame()[1] != self.CLOSE:
                pass
        except Ended:
            pass
        self.socket.close()


class Client:
    """One person on one socket: requests with answers, events in between."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.wire = WebSocket(url)
        self.requests = 0
        self.events: collections.deque = collections.deque()
        self.cursor = 0
        self.log: list[dict] = []

    def read(self, deadline: float) -> dict:
        return json.loads(self.wire.next_text(deadline))

    def call(self, method: str, **params) -> dict:
        """Calls an operation and waits for its answer; events are kept for later."""
        self.requests += 1
        request = {"id": self.requests, "method": method, "params": params}
        self.wire.send(WebSocket.TEXT, json.dumps(request).encode())
        deadline = time.monotonic() + PATIENCE
        while True:
            frame = self.read(deadline)
            if "event" in frame:
                self.events.append(frame)
            elif frame["id"] != self.requests:
                raise Failure(f"an answer to request {frame['id']}, which was not asked")
            elif "error" in frame:
                raise Refusal(method, frame["error"])
            else:
                return frame["result"]

    def follow(self, conversation: str, up_to: int) -> None:
        """Takes events until the conversation's log is here up to a number."""
        deadline = time.monotonic() + PATIENCE
        while self.cursor < up_to:
            frame = self.events.popleft() if self.events else self.read(deadline)
            if frame.get("event") == "message" and frame["data"]["conversation"] == conversation:
                self.apply(frame["data"]["item"])
            elif "event" not in frame:
                raise Failure("an answer that nobody waits for")
            # Other events, also those of a newer server, are passed over.

    def apply(self, item: dict) -> None:
        """Takes an entry of the log where it is the next one. A client that
        misses one reads it with `message.page`; here nothing may be missing."""
        row = item.get("row")
        if row is None:
            raise Failure(f"not a row: {item}")
        if row["seq"] <= self.cursor:
            return
        if row["seq"] != self.cursor + 1:
            raise Failure(f"{self.name}: number {row['seq']} after {self.cursor}")
        row["content"] = json.loads(unpack(row.pop("payload")))
        self.cursor = row["seq"]
        self.log.append(row)
        print(f"{self.name:>4} sees #{row['seq']} {describe(row)}", flush=True)


def unpack(text: str) -> bytes:
    """Bytes from base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def describe(row: dict) -> str:
    ((kind, data),) = row["content"].items()
    return data["body"] if kind == "text" else f"({kind})"


def enter(url: str, name: str, run: str) -> Client:
    """A new user, logged in and listening."""
    client = Client(url, name)
    # Registering needs no login, so it may come before hello.
    login = client.call(
        "account.register",
        username=f"{name}.{run}",
        password=secrets.token_urlsafe(16),
        display_name=name.capitalize(),
        device_name="live.py",
    )
    heads = client.call("hello", token=login["tokens"]["access"], protocol=1, locale="en")
    if heads["user"] != login["user"]["id"] or heads["device"] != login["device"]:
        raise Failure("hello speaks of somebody else")
    if heads["conversations"]:
        raise Failure("a new user has conversations")
    return client


def send(client: Client, conversation: str, body: str) -> dict:
    payload = json.dumps({"text": {"body": body}}, ensure_ascii=False).encode()
    message = str(uuid.uuid4())
    ack = client.call("message.send", conversation=conversation, client_msg_id=message, payload=pack(payload))
    if ack["client_msg_id"] != message or ack["conversation"] != conversation:
        raise Failure("an acknowledgement of something else")
    return ack


def read_history(client: Client, conversation: str) -> list[dict]:
    """The whole log, three numbers at a time."""
    rows, cursor = [], 0
    while True:
        page = client.call("message.page", conversation=conversation, limit=3, **{"from": {"after": cursor}})
        if page["from"] > page["to"]:
            return rows
        if page["from"] != cursor + 1:
            raise Failure(f"a page from {page['from']} after {cursor}")
        for item in page["items"]:
            row = item["row"]
            row["content"] = json.loads(unpack(row.pop("payload")))
            rows.append(row)
        cursor = page["to"]


def main() -> None:
    url = (sys.argv[1:] or [os.environ.get("RUGGINE_URL", "http://127.0.0.1:8443")])[0]
    run = secrets.token_hex(5)
    ada, bob = enter(url, "ada", run), enter(url, "bob", run)

    found = ada.call("user.lookup", username=f"bob.{run}")
    conversation = ada.call("conversation.create", kind="direct", mode="managed", members=[found["id"]])["id"]
    print(f"conversation {conversation}")

    newest = 0
    for speaker, body in [
        (ada, "Ciao Bob, ci sei?"),
        (bob, "Ci sono 🦀"),
        (ada, "Funziona senza librerie."),
        (bob, "Anche al contrario: perché no?"),
    ]:
        newest = send(speaker, conversation, body)["seq"]
        # Everybody in the conversation gets it, the sender's socket too.
        ada.follow(conversation, newest)
        bob.follow(conversation, newest)

    bob.call("position.delivered", conversation=conversation, seq=newest)
    bob.call("position.read", conversation=conversation, seq=newest)
    print(f"read up to #{newest}")

    for client in (ada, bob):
        if read_history(client, conversation) != client.log:
            raise Failure(f"{client.name}: the history differs from what arrived")
    if ada.log != bob.log or len(ada.log) != newest:
        raise Failure("the two have not seen the same")

    try:
        ada.call("conversation.get", conversation=str(uuid.uuid4()))
        raise Failure("a conversation that does not exist was shown")
    except Refusal as refusal:
        if refusal.code != "conversation_not_found":
            raise

    ada.wire.close()
    bob.wire.close()
    print(f"done: {newest} entries, live and from the history alike")


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError, ValueError, KeyError) as failure:
        print(f"failed: {type(failure).__name__}: {failure}", file=sys.stderr)
        sys.exit(1)
