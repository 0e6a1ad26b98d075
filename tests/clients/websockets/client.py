"""Echo, ping, close and topics, as a program that knows WebSocket from `websockets` meets them."""

import asyncio
import os

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def opened(path, **options):
    return connect(f"ws://{os.environ['THRONG']}{path}", max_size=None, **options)


async def echo():
    async with opened("/ws") as socket:
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
    await refusals()
    await topic()


asyncio.run(main())
