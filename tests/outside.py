"""What stands outside the building in tests: a Slack and a mail server that answer as they are told, on loopback."""

from __future__ import annotations

import base64
import json
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread


class _Server:
    """Runs one of the servers below while it is used as a context."""

    def __enter__(self):
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


class Slack(_Server):
    """Answers with what ``script`` holds, else 200: a status, ("redirect", where), a way to be unwell, or a call."""

    def __init__(self):
        self.script, self.heard, self.taken, self.over = deque(), [], [], Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.heard.append(body)
                outer.answer(self, body, outer.script.popleft() if outer.script else 200)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/services/T/B/secret"

    def answer(self, handler, body, told):
        if callable(told):
            told = told(handler, body)
        status, headers = (told, {}) if isinstance(told, int) else (200, {})
        if told is None:
            return
        if told == "hang":
            self.over.wait(30)
            return
        if told == "drip":
            while not self.over.wait(0.1):
                handler.wfile.write(b"H")
            return
        if told == "garbage":
            handler.wfile.write(b"\x00\xff not http\r\n\r\n")
            return
        if isinstance(told, tuple):
            kind, value = told
            status, headers = {
                "redirect": (302, {"Location": value}),
                "busy": (429, {"Retry-After": value}),
            }[kind]
        if status == 200:
            self.taken.append(body)
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": "2"}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"ok")

    @property
    def subjects(self):
        """What Slack took, in order."""
        return [body["text"] for body in self.taken]


class MailServer(_Server):
    """Takes mail, but answers a command with what ``script`` holds for it, such as {"RCPT": "550 No such user"}."""

    def __init__(self):
        self.script, self.taken, self.logins, self.over = {}, [], [], Event()
        outer = self

        class Handler(StreamRequestHandler):
            def say(self, line):
                self.wfile.write(f"{line}\r\n".encode())

            def handle(self):
                self.say(outer.script.get("CONNECT", "220 mail.example"))
                while line := self.rfile.readline().decode().strip():
                    command = line.split()[0].upper()
                    if command in outer.script:
                        self.say(outer.script[command])
                    elif command == "EHLO":
                        self.say("250-mail.example")
                        self.say("250 AUTH PLAIN")
                    elif command == "AUTH":
                        outer.logins.append(base64.b64decode(line.split()[2]))
                        self.say("235 Welcome")
                    elif command == "DATA":
                        self.say("354 Go on")
                        outer.taken.append(self.message())
                        self.say("250 Taken")
                    elif command == "QUIT":
                        self.say("221 Bye")
                        return
                    else:
                        self.say("250 Fine")

            def message(self):
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line)
                return b"".join(lines)

        self.server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def port(self):
        return self.server.server_address[1]
