"""A real SMTP server on loopback, for coordinator/tests/mail.rs: Debian's python3-aiosmtpd.

Prints its port as a line, then each message that it took as a line of JSON. It ends with its standard input.
Usage: python3 server.py PASSWORD (of the user `warren`)
"""

import asyncio
import json
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("nobody@"):
            return "550 no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "content": envelope.content.decode("utf8", errors="replace"),
        }
        print(json.dumps(message), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, auth_data):
    wanted = LoginPassword(b"warren", sys.argv[1].encode())
    return AuthResult(success=auth_data == wanted, handled=False)


def smtp():
    return SMTP(Handler(), authenticator=authenticate, auth_required=True, auth_require_tls=False, hostname="localhost")


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(smtp, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(serve())
