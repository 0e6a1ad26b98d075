"""What a program that knows Socket.IO from `python-socketio` says to throng: by polling, by WebSocket, and from one to the other."""

import os
import queue
import subprocess

import engineio
import socketio

MODES = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
BINARY = [b"", {"deep": [b"\x00\x01\xff", "between", b"\x1eb"]}, bytes(70_000)]
VALUES = [1, -2.5, "häh? 😀", "</script>\x1e\u2028", True, None, [1, [2, []]], {"a": {"b": "c"}}, "x" * 60_000, *BINARY]


class Server:
    """A server that ends with its standard input, and can be started again where it was."""

    def __init__(self, *flags):
        command = [os.environ["IO_SERVER"], "--ping-interval", "200", "--ping-timeout", "2000", *flags]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip().removeprefix("listening on ")

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


class Client(socketio.Client):
    """Keeps everything that it hears, by namespace and event."""

    def __init__(self, **options):
        super().__init__(reconnection_delay=0.05, reconnection_delay_max=0.1, randomization_factor=0, **options)
        self.heard = {}
        self.pings = queue.Queue()
        receive = self.eio._receive_packet

        def receive_packet(packet):
            if packet.packet_type == engineio.packet.PING:
                self.pings.put(packet)
            return receive(packet)

        self.eio._receive_packet = receive_packet

    def listen(self, event, namespace="/"):
        heard = self.heard[namespace, event] = queue.Queue()
        self.on(event, lambda *args: heard.put(args), namespace=namespace)

    def hear(self, event, namespace="/"):
        return self.heard[namespace, event].get(timeout=8)

    def hear_ping(self):
        return self.pings.get(timeout=8)


def opened(url, mode, namespaces=("/",), auth=None):
    client = Client()
    for namespace in ("/", "/admin"):
        for event in ("connect", "connect_error", "disconnect", "binary", "answered", "chat message", "left"):
            client.listen(event, namespace)
    client.on("question", lambda *args: (*args, b"\x09\x08"))
    client.connect(url, auth=auth or {"token": mode}, transports=MODES[mode], namespaces=list(namespaces), wait_timeout=8)
    return client


def events(client, mode):
    assert client.transport() == MODES[mode][-1], client.transport()
    # Several values are a tuple here, one is itself, none is nothing at all.
    assert list(client.call("echo", tuple(VALUES), timeout=8)) == VALUES
    assert client.call("echo", "one", timeout=8) == "one"
    assert [client.call("echo", number, timeout=8) for number in range(50)] == list(range(50))
    client.emit("binary", ("first", *BINARY))
    assert client.hear("binary") == ("first", *BINARY)
    # The server asks, and says what it was answered.
    client.emit("ask", {"what": "?"})
    assert client.hear("answered") == ({"what": "?"}, b"\x09\x08")
    assert client.call("who", timeout=8)["auth"] == {"token": mode}


def broadcasts(url, mode):
    clients = {one: opened(url, one) for one in MODES}
    clients[mode].emit("chat message", ("to all", b"\x01\x02"))
    for client in clients.values():
        assert client.hear("chat message") == ("to all", b"\x01\x02")
    assert len({client.get_sid() for client in clients.values()}) == len(MODES)
    for client in clients.values():
        client.disconnect()


def namespaces(url, mode):
    right = {"token": "right"}
    client = opened(url, mode, ["/", "/admin"], right)
    assert client.get_sid("/") != client.get_sid("/admin")
    assert client.call("echo", b"in /admin", namespace="/admin", timeout=8) == b"in /admin"
    assert client.call("echo", "in /", timeout=8) == "in /"

    def leaves(leave):
        other = opened(url, mode, ["/admin"], right)
        sid = other.get_sid("/admin")
        leave(other)
        who, why = client.hear("left", "/admin")
        assert who == sid, (who, why)
        other.hear("disconnect", "/admin")
        other.disconnect()
        return why

    # Others leave: at the server's wish, and by themselves. A client that is just writing, the answer to a ping or so, when
    # it is asked to disconnect never sends that it does (its writing ends with its state), so it may take another.
    assert leaves(lambda other: other.emit("kick", namespace="/admin")) == "server namespace disconnect"
    by_itself = (leaves(lambda other: other.disconnect()) for _ in range(5))
    why = next(why for why in by_itself if why != "ping timeout")
    assert why in ("client namespace disconnect", "transport close"), why
    # Heartbeats go on.
    client.hear_ping()
    client.hear_ping()
    assert client.call("echo", "still there", timeout=8) == "still there"
    client.disconnect()

    for namespace, said in [
        ("/admin", {"message": "not authorized", "data": {"code": 401}}),
        ("/nowhere", {"message": "Invalid namespace"}),
    ]:
        refused = Client()
        refused.listen("connect_error", namespace)
        try:
            refused.connect(url, auth={"token": "wrong"}, transports=MODES[mode], namespaces=[namespace], wait_timeout=8)
            raise AssertionError(f"{namespace} let it in")
        except socketio.exceptions.ConnectionError:
            (error,) = refused.hear("connect_error", namespace)
            assert error == said or error == said.get("message"), error
        refused.disconnect()


def restarts(server, shards, mode):
    client = opened(server.url, mode)
    client.hear("connect")
    before = client.get_sid()
    server.stop()
    client.hear("disconnect")
    again = Server("--bind", server.url.removeprefix("http://"), "--shards", shards)
    client.hear("connect")
    assert client.get_sid() != before
    assert client.call("echo", "back", timeout=8) == "back"
    client.disconnect()
    return again


def main():
    for shards in ("1", "3"):
        server = Server("--shards", shards)
        for mode in MODES:
            client = opened(server.url, mode)
            events(client, mode)
            client.disconnect()
            broadcasts(server.url, mode)
            namespaces(server.url, mode)
            server = restarts(server, shards, mode)
            print(f"{shards} shards, {mode}: events, acks, binary, broadcasts, namespaces, refusals, restart", flush=True)
        server.stop()


main()
