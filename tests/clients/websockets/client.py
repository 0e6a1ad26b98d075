"""Echo, ping, close, topics and, where the server has it on, compression, as a program that knows WebSocket from `websockets`
meets them."""

import asyncio
import os
import random

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

DEFLATES = bool(os.environ.get("THRONG_DEFLATE"))


def opened(path, **options):
    return connect(f"ws://{os.environ['THRONG']}{path}", max_size=None, **options)


async def echo():
    async with opened("/ws") as socket:
        # It offers compression without being asked.
        assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"] * DEFLATES
        for message in ["häh? 😀", "", b"", bytes(125), bytes(126), "x" * 70_000, bytes(1 << 20)]:
            await socket.send(message)
            assert await socket.recv() == message, len(message)
        for n in range(1000):
            await socket.send(str(n))
        assert [await socket.recv() for _ in range(1000)] == [str(n) for n in range(1000)]
        # An iterable is sent as one message in fragments.
        await socket.send([b"in ", b"three ", b"parts"])
        assert await socket.recv() == b"in three parts"
        assert await (await socket.ping(b"ping")) >= 0
        await socket.close(4000, "done")
        # throng answers with the code alone (RFC 6455 section 5.5.1).
        assert (socket.close_code, socket.close_reason) == (4000, "")


async def compression():
    """Every pair of windows, with and without contexts, whole and in fragments."""
    chance = random.Random(1)
    for bits in range(9, 16):
        for takeover in range(4):
            offer = ClientPerMessageDeflateFactory(bool(takeover & 1), bool(takeover & 2), bits, 24 - bits)
            async with opened("/ws", compression=None, extensions=[offer]) as socket:
                for number in range(12):
                    letters = chance.choice(["ab", "the words of this message ", "".join(map(chr, range(0x20, 0x500)))])
                    text = "".join(chance.choices(letters, k=chance.choice([0, 1, 50, 3000, 40_000])))
                    message = text if number % 2 else text.encode()
                    middle = len(message) // 2
                    await socket.send([message[:middle], message[middle:]] if number % 3 else message)
                    assert await socket.recv() == message, (bits, takeover, len(message))


async def refusals():
    async with opened("/") as socket:
        try:
            await socket.send(bytes((1 << 20) + 1))
            await socket.recv()
            raise AssertionError("a message beyond the limit came back")
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 1009, closed
    try:
        await opened("/topic/")
        raise AssertionError("a topic without a name was opened")
    except InvalidStatus as refused:
        assert refused.response.status_code == 404, refused


async def topic():
    async with opened("/topic/a") as one, opened("/topic/a") as other, opened("/topic/b") as outsider:
        await one.send("from one")
        assert await other.recv() == "from one"
        # What `one` hears first is what the other said: it does not hear itself.
        await other.send(b"\x00\xff")
        assert await one.recv() == b"\x00\xff"
        # Behind the pong there is nothing that was not for it.
        await (await outsider.ping())
        await outsider.close()
        assert [message async for message in outsider] == []


async def main():
    await echo()
    if DEFLATES:
        await compression()
    await refusals()
    await topic()


asyncio.run(main())
