// throng's own Socket.IO client in node, and with CLIENT=official npm's `socket.io-client` in its place: what is asserted
// here is what the two have in common, but for the tests that say otherwise.
//
//   [CLIENT=official] node client.js http://127.0.0.1:PORT
//
// Any Socket.IO 4 server will do that has the default path, pingInterval 1000 ms, pingTimeout 2000 ms, maxPayload 100000 B,
// and both in "/" and in "/admin" these events:
//
//   echo (…args, ack)      acknowledges with args
//   binary (…args)         emits "binary" with args to the sender
//   ask (…args)            emits "question" with args to the sender, and with its acknowledgement's arguments "answered"
//   kick ()                disconnects the sender from the namespace
//   who (ack)              acknowledges with { auth, q, header }: the auth payload, the query's q, the header x-own
//   chat message (…args)   in "/" alone: emits the same to everybody in "/"
//
// "/admin" refuses who has not { token: "right" } in auth, with the message "not authorized" and the data { code: 401 }.
// Every "/room-" with a number behind it is a namespace too, with the same events and "chat message" to everybody in it.
// Nobody listens to "nobody". Losses and restarts are a proxy's in front of the server.
"use strict";
const assert = require("node:assert");
const { once } = require("node:events");
const { setImmediate: turn } = require("node:timers/promises");
const { Proxy, falseServer, heard, io, listen, official, page } = require("./support.js");

const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

let url;
let proxy;
let sockets;

const open = (options, nsp = "") => {
  const socket = io(url + nsp, Object.assign({ reconnectionDelay: 30, reconnectionDelayMax: 60 }, options));
  sockets.push(socket);
  return socket;
};
const opened = async (options, nsp) => {
  const socket = open(options, nsp);
  await heard(socket, "connect");
  return socket;
};
const bytesOf = (value) =>
  value instanceof ArrayBuffer ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.byteLength);

async function talk(transports) {
  const socket = open({ transports });
  assert.deepStrictEqual([socket.connected, socket.disconnected, socket.active, socket.id], [false, true, true, undefined]);
  const order = [];
  const early = socket.emitWithAck("echo", "early");
  socket.emit("echo", "and this", (value) => order.push(value));
  socket.on("connect", () => socket.emit("echo", "on connect", (value) => order.push(value)));
  await heard(socket, "connect");
  assert.deepStrictEqual([socket.connected, socket.disconnected, socket.active, Boolean(socket.recovered)], [true, false, true, false]);
  assert.match(socket.id, /^.{8,}$/);
  assert.notStrictEqual(socket.id, socket.io.engine.id);
  assert.strictEqual(await early, "early");
  for (const value of ["häh? 😀", "", 0, -1.5, null, true, [], {}, { a: [1, { b: "\u2028\x1e" }], _placeholder: true, num: 0 }, "x".repeat(70000)])
    assert.deepStrictEqual(await socket.emitWithAck("echo", value), value);
  assert.deepStrictEqual(order, ["and this", "on connect"]);

  const several = await new Promise((resolve) => socket.emit("echo", 1, "two", { three: 3 }, (...args) => resolve(args)));
  assert.deepStrictEqual(several, [1, "two", { three: 3 }]);
  const answers = [];
  for (let n = 0; n < 500; n++) socket.emit("echo", n, (value) => answers.push(value));
  await socket.emitWithAck("echo", "last");
  assert.deepStrictEqual(answers, [...answers.keys()]);
  assert.strictEqual(answers.length, 500);
  // An answer may be here before the POST that asked for it is: until then a volatile event is dropped.
  while (!socket.io.engine.transport.writable || socket.io.engine.upgrading) await turn();
  assert.strictEqual(await socket.volatile.emitWithAck("echo", "nothing waits"), "nothing waits");
}

async function binary(transports) {
  const socket = await opened({ transports });
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
  for (const value of [new ArrayBuffer(0), bytes, bytes.buffer, bytes.subarray(5, 9), Uint16Array.of(1, 2), Buffer.alloc(60000, 7)]) {
    const event = heard(socket, "binary");
    socket.emit("binary", "text", value);
    const [text, back] = await event;
    assert.strictEqual(text, "text");
    assert.ok(bytesOf(back).equals(bytesOf(value)), `${back.byteLength} bytes for ${value.byteLength}`);
    assert.ok(bytesOf(await socket.emitWithAck("echo", value)).equals(bytesOf(value)));
  }
  const nested = { file: bytes, list: [bytes.subarray(1, 2), { deep: bytes.subarray(2, 4) }], text: "t" };
  const { file, list, text } = await socket.emitWithAck("echo", nested);
  const parts = [file, list[0], list[1].deep];
  assert.deepStrictEqual(parts.map((part) => [...bytesOf(part)]), [[...bytes], [1], [2, 3]]);
  assert.strictEqual(text, "t");
}

async function acknowledgements(transports) {
  const socket = await opened({ transports });
  let answers = 0;
  socket.on("answered", () => answers++);
  socket.on("question", (text, bytes, ack) => {
    ack("because", bytes, text);
    ack("a second answer is none");
  });
  const answered = heard(socket, "answered");
  socket.emit("ask", "why?", Buffer.of(1, 2));
  const [because, bytes, text] = await answered;
  assert.deepStrictEqual([because, [...bytesOf(bytes)], text], ["because", [1, 2], "why?"]);

  const inTime = await new Promise((resolve) => socket.timeout(9000).emit("echo", 7, (...args) => resolve(args)));
  assert.deepStrictEqual(inTime, [null, 7]);
  const [late, ...nothing] = await new Promise((resolve) => socket.timeout(30).emit("nobody", (...args) => resolve(args)));
  assert.match(late.message, /timed out/);
  assert.deepStrictEqual(nothing, []);
  await assert.rejects(socket.timeout(30).emitWithAck("nobody"), /timed out/);
  assert.strictEqual(await socket.timeout(9000).emitWithAck("echo", 8), 8);
  assert.strictEqual(answers, 1);

  const pending = assert.rejects(socket.emitWithAck("nobody"), /has been disconnected/);
  socket.emit("nobody", () => assert.fail("without a timeout an answer that cannot come is none"));
  socket.disconnect();
  await pending;
}

async function ends(transports) {
  const socket = await opened({ transports });
  const kicked = heard(socket, "disconnect");
  socket.io.on("reconnect_attempt", () => assert.fail("who was sent away stays away"));
  socket.emit("kick");
  assert.strictEqual((await kicked)[0], "io server disconnect");
  assert.deepStrictEqual([socket.connected, socket.active, socket.id], [false, false, undefined]);

  socket.emit("echo", "kept", (value) => assert.strictEqual(value, "kept"));
  socket.connect();
  await heard(socket, "connect");
  assert.strictEqual(await socket.emitWithAck("echo", "back"), "back");
  const reasons = [];
  socket.on("disconnect", (reason) => reasons.push(reason));
  socket.emit("chat message", "sent before the end");
  const other = await opened({ transports, forceNew: true });
  assert.strictEqual(socket.disconnect(), socket);
  assert.deepStrictEqual([reasons, socket.connected, socket.active], [["io client disconnect"], false, false]);
  socket.disconnect();
  assert.strictEqual(await other.emitWithAck("echo", "still"), "still");
  socket.connect();
  await heard(socket, "connect");
  assert.deepStrictEqual(reasons, ["io client disconnect"]);

  // Given up before it began.
  const never = open({ transports, forceNew: true });
  for (const event of ["connect", "connect_error", "disconnect"]) never.on(event, () => assert.fail(event));
  never.disconnect();
  assert.strictEqual(await socket.emitWithAck("echo", "later"), "later");
}

async function chat(transports) {
  const one = await opened({ transports });
  const other = await opened({ transports, forceNew: true });
  const admin = await opened({ transports, auth: { token: "right" } }, "/admin");
  admin.on("chat message", () => assert.fail("a namespace hears itself alone"));
  const all = [one, other].map((socket) => heard(socket, "chat message"));
  one.emit("chat message", "to all", 1);
  assert.deepStrictEqual(await Promise.all(all), [["to all", 1], ["to all", 1]]);
  one.send("nobody hears a message");
  await admin.emitWithAck("echo");
}

async function namespaces(transports) {
  const main = await opened({ transports });
  const admin = open({ transports, auth: { token: "wrong" } }, "/admin");
  assert.strictEqual(admin.io, main.io);
  const [error] = await heard(admin, "connect_error");
  assert.ok(error instanceof Error);
  assert.deepStrictEqual([error.message, error.data, admin.active, admin.connected], ["not authorized", { code: 401 }, false, false]);
  admin.auth = (done) => setTimeout(done, 1, { token: "right" });
  admin.connect();
  await heard(admin, "connect");
  assert.notStrictEqual(admin.id, main.id);
  assert.deepStrictEqual(await Promise.all([main, admin].map((socket) => socket.emitWithAck("echo", socket.nsp))), ["/", "/admin"]);
  const kicked = heard(admin, "disconnect");
  admin.emit("kick");
  assert.deepStrictEqual((await kicked)[0], "io server disconnect");
  admin.connect();
  await heard(admin, "connect");
  admin.disconnect();
  assert.strictEqual(await main.emitWithAck("echo", "stays"), "stays");
  assert.notStrictEqual(open({ transports }).io, main.io, "the same namespace again is another connection");
  assert.notStrictEqual(open({ transports, multiplex: false }, "/other").io, main.io);

  // Nobody has named these.
  const rooms = await Promise.all(["/room-1", "/room-1", "/room-2"].map((nsp) => opened({ transports, forceNew: true }, nsp)));
  rooms[2].on("chat message", () => assert.fail("a namespace hears itself alone"));
  const both = rooms.slice(0, 2).map((socket) => heard(socket, "chat message"));
  rooms[0].emit("chat message", "to one");
  assert.deepStrictEqual(await Promise.all(both), [["to one"], ["to one"]]);
  assert.deepStrictEqual(await Promise.all(rooms.map((socket) => socket.emitWithAck("echo", socket.nsp))), ["/room-1", "/room-1", "/room-2"]);
  for (const socket of rooms) socket.disconnect();
  const again = await opened({ transports, forceNew: true }, "/room-1");
  assert.strictEqual(await again.emitWithAck("echo", 1), 1);
  const [invalid] = await heard(open({ transports, forceNew: true }, "/room-x"), "connect_error");
  assert.strictEqual(invalid.message, "Invalid namespace");

  const held = open({ transports, autoConnect: false, forceNew: true });
  assert.deepStrictEqual([held.active, held.connected], [false, false]);
  held.open();
  await heard(held, "connect");
}

async function restart(transports) {
  const socket = await opened({ transports });
  if (transports.length > 1 && socket.io.engine.transport.name === "polling") await heard(socket.io.engine, "upgrade");
  const before = socket.id;
  const told = [];
  for (const event of ["reconnect_attempt", "reconnect"]) socket.io.on(event, (attempt) => told.push(event, attempt));
  const failed = heard(socket.io, "reconnect_error");
  const lost = heard(socket, "disconnect");
  proxy.refuse();
  assert.strictEqual((await lost)[0], transports.includes("websocket") ? "transport close" : "transport error");
  assert.deepStrictEqual([socket.connected, socket.active, socket.id], [false, true, undefined]);
  const kept = socket.emitWithAck("echo", "kept");
  // The official client keeps it where the lost transport still calls itself writable.
  if (!official) socket.volatile.emit("echo", "not kept", () => assert.fail("volatile is not kept"));
  assert.ok((await failed)[0] instanceof Error);
  proxy.mode = "pass";
  await heard(socket, "connect");
  assert.strictEqual(await kept, "kept");
  assert.notStrictEqual(socket.id, before);
  assert.deepStrictEqual(told.slice(0, 3), ["reconnect_attempt", 1, "reconnect_attempt"]);
  assert.deepStrictEqual(told.slice(-2), ["reconnect", told[told.length - 3]]);
  const closed = heard(socket, "disconnect");
  socket.io.engine.close();
  assert.strictEqual((await closed)[0], "forced close");
  await heard(socket, "connect");
}

async function silence(transports) {
  const socket = await opened({ transports });
  await heard(socket.io, "ping");
  const lost = heard(socket, "disconnect");
  proxy.mode = "stall";
  assert.strictEqual((await lost)[0], "ping timeout");
  proxy.mode = "pass";
  await heard(socket, "connect");
}

async function upgrade() {
  const socket = open({});
  await heard(socket.io, "open");
  const { engine } = socket.io;
  assert.strictEqual(engine.transport.name, "polling");
  let upgraded = false;
  engine.once("upgrade", ({ name }) => (upgraded = name));
  const answers = [];
  let sent = 0;
  for (; !upgraded || sent < 1000; await turn()) socket.emit("echo", sent++, Buffer.of(1), (value) => answers.push(value));
  await socket.emitWithAck("echo", "last");
  assert.deepStrictEqual(answers, [...answers.keys()]);
  assert.deepStrictEqual([upgraded, engine.transport.name, answers.length], ["websocket", "websocket", sent]);

  const stays = await opened({ upgrade: false, forceNew: true });
  assert.strictEqual(stays.io.engine.transport.name, "polling");
}

async function noWebSocket() {
  proxy.websocket = false;
  // The official client goes on to the next transport where it is told to, this one always.
  const second = await opened({ transports: ["websocket", "polling"], tryAllTransports: true });
  assert.strictEqual(second.io.engine.transport.name, "polling");
  assert.strictEqual(await second.emitWithAck("echo", 1), 1);
  const first = open({ forceNew: true });
  const refused = new Promise((resolve) => first.io.engine.once("upgradeError", resolve));
  await heard(first, "connect");
  await refused;
  assert.strictEqual(await first.emitWithAck("echo", 2), 2);
  const [error] = await heard(open({ transports: ["websocket"], reconnection: false, forceNew: true }), "connect_error");
  assert.strictEqual(error.message, "websocket error");
}

async function givesUp() {
  proxy.mode = "refuse";
  const socket = open({ transports: ["polling"], reconnectionAttempts: 2 });
  const told = [];
  socket.on("connect_error", ({ message }) => told.push(message));
  for (const event of ["reconnect_attempt", "reconnect_failed"]) socket.io.on(event, (attempt) => told.push(attempt || event));
  await heard(socket.io, "reconnect_failed");
  assert.deepStrictEqual(told, ["xhr poll error", 1, "xhr poll error", 2, "xhr poll error", "reconnect_failed"]);

  const again = open({ forceNew: true });
  while ((await heard(again.io, "reconnect_attempt"))[0] < 3);
  again.disconnect().connect();
  assert.deepStrictEqual(await heard(again.io, "reconnect_attempt"), [1]);
  again.disconnect();

  assert.strictEqual(socket.io.reconnection(), true);
  assert.strictEqual(socket.io.reconnection(false), socket.io);
  assert.strictEqual(socket.io.reconnection(), false);
  proxy.mode = "pass";
  socket.connect();
  await heard(socket, "connect");
  const lost = heard(socket, "disconnect");
  socket.io.on("reconnect_attempt", () => assert.fail("it is not to reconnect"));
  proxy.refuse();
  await lost;
  proxy.mode = "stall";
  const [error] = await heard(open({ timeout: 50, reconnection: false, forceNew: true }), "connect_error");
  assert.strictEqual(error.message, "timeout");
}

async function payloads() {
  const socket = open({ transports: ["polling"] });
  socket.on("disconnect", (reason) => assert.fail(`${reason}: a body above maxPayload`));
  const texts = Array.from({ length: 200 }, (_, at) => `${at} `.padEnd(700, "ä"));
  const mixed = texts.flatMap((text) => [text, Buffer.alloc(700, 1)]);
  const answers = await Promise.all(mixed.map((value) => socket.emitWithAck("echo", value)));
  assert.deepStrictEqual(answers.filter((answer) => typeof answer === "string"), texts);
  const posts = proxy.requests.filter((method) => method === "POST").length;
  assert.ok(posts < 20, `${posts} POSTs`);
  socket.off("disconnect");
}

async function options() {
  const who = { transports: ["polling"], query: { q: "7 &ä" }, auth: (done) => done({ token: "t" }), extraHeaders: { "x-own": "h" } };
  assert.deepStrictEqual(await (await opened(who)).emitWithAck("who"), { auth: { token: "t" }, q: "7 &ä", header: "h" });
  const asked = await opened({ transports: ["websocket"], forceNew: true }, "/?q=8");
  assert.strictEqual(asked.nsp, "/");
  assert.deepStrictEqual(await asked.emitWithAck("who"), { auth: {}, q: "8" });
}

async function listeners() {
  const socket = await opened({});
  for (const event of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"])
    assert.throws(() => socket.emit(event), /reserved/);
  const calls = [];
  const count = (...args) => calls.push(args);
  socket.on("binary", count);
  socket.once("binary", count);
  assert.strictEqual(socket.listeners("binary").length, 2);
  const round = async (n) => {
    socket.emit("binary", n);
    await socket.emitWithAck("echo");
  };
  await round(1);
  assert.deepStrictEqual(calls.splice(0), [[1], [1]]);
  await round(2);
  assert.deepStrictEqual(calls.splice(0), [[2]]);
  socket.once("binary", count).off("binary", count).off("binary", count);
  assert.strictEqual(socket.hasListeners("binary"), false);
  socket.on("binary", count).off("binary");
  await round(3);
  assert.deepStrictEqual(calls, []);

  socket.onAny(count);
  socket.onAnyOutgoing(count);
  await round(4);
  assert.deepStrictEqual(calls.splice(0), [["binary", 4], ["echo"], ["binary", 4]]);
  socket.offAny(count).offAnyOutgoing(count);
  await round(5);
  assert.deepStrictEqual(calls, []);
}

const HANDSHAKE = '0{"sid":"false","upgrades":[],"pingInterval":9000,"pingTimeout":9000,"maxPayload":1000}';
const MALFORMED = [
  ["4"], ["47"], ["4x"], ["4251-"], ["42{}"], ["42[]"], ["42[true]"], ["42["], ["4-1"], ["43{}"], ["41{}"],
  ['42["connect"]'], ['42["disconnect"]'], ['45["a"]'], ['45-["a"]'], ["bAAAA"],
  ['451-["a",{"_placeholder":true,"num":0}]', '42["b"]'], ['451-["a",{"_placeholder":true,"num":1}]', "bAAAA"],
  ['451-["a",{"_placeholder":true,"num":"length"}]', "bAAAA"], ['451-["a",{"_placeholder":true}]', "bAAAA"],
];
// What the official client lets pass, or calls by another name.
const MALFORMED_TO_OWN = [["42"], ["42 "], ["432"], ["43[]"], ['421-["a"]'], ["8"], [""], ["b!"], ["3"], ["0{}"], [HANDSHAKE], ['44[1]']];

async function malformed() {
  for (const packets of [...MALFORMED, ...(official ? [] : MALFORMED_TO_OWN)]) {
    const server = falseServer(HANDSHAKE, '40{"sid":"false"}', packets.join("\x1e"));
    const socket = io(await listen(server), { transports: ["polling"], reconnection: false });
    socket.onAny((...args) => assert.fail(`${packets} is told as ${args}`));
    const [reason] = await heard(socket, "disconnect").catch(({ message }) => [message]);
    socket.disconnect();
    server.close();
    server.closeAllConnections();
    assert.strictEqual(reason, "parse error", JSON.stringify(packets));
  }
}

// What an honest server never does, and hides where the client does it.
async function onTheWire() {
  const server = falseServer(HANDSHAKE, '40{"sid":"false"}', '427["question"]\x1e430["one"]\x1e430["two"]', "6");
  const packets = [];
  server.on("packet", (packet) => packets.push(packet));
  const socket = io(await listen(server), { transports: ["polling"], auth: { a: 1 } });
  sockets.push(socket);
  // The official client asks a second time.
  if (!official) socket.io.on("open", () => socket.connect());
  const answers = [];
  socket.emit("early", (answer) => answers.push(answer));
  await heard(socket, "question").then(([ack]) => {
    ack(1);
    ack(2);
  });
  socket.emit("end");
  await heard(server, "packet");
  while (!packets.includes('42["end"]')) await heard(server, "packet");
  assert.deepStrictEqual(packets, ['40{"a":1}', '420["early"]', "437[1]", '42["end"]']);
  assert.deepStrictEqual(answers, ["one"]);
  socket.disconnect();
  while (!packets.includes("1")) await heard(server, "packet");
  assert.deepStrictEqual(packets.slice(4), ["41", "1"]);
  server.close();
  server.closeAllConnections();
}

async function offline() {
  const socket = await opened({ transports: ["websocket"] });
  const lost = heard(socket, "disconnect");
  page.dispatchEvent(new Event("offline"));
  assert.strictEqual((await lost)[0], "transport close");
  await heard(socket, "connect");
}

// Of throng's own client alone.
const OWN = {
  async pageGone() {
    const told = [];
    globalThis.navigator = { sendBeacon: (address, body) => told.push(new URL(address).searchParams.get("transport"), body) };
    const kept = await opened({ transports: ["polling"] });
    page.dispatchEvent(Object.assign(new Event("pagehide"), { persisted: true }));
    assert.strictEqual(await kept.emitWithAck("echo", "kept"), "kept");
    kept.on("disconnect", () => assert.fail("a page that goes hears no more"));
    page.dispatchEvent(Object.assign(new Event("pagehide"), { persisted: false }));
    assert.deepStrictEqual(told, ["polling", "1"]);
    kept.disconnect = () => {};
    assert.strictEqual(globalThis.io, io);
  },
  async blobs() {
    for (const transports of [["polling"], ["websocket"]]) {
      const socket = await opened({ transports, forceNew: true });
      const [first, then] = await Promise.all([socket.emitWithAck("echo", new Blob(["blöb"])), socket.emitWithAck("echo", "then")]);
      assert.deepStrictEqual([String(bytesOf(first)), then], ["blöb", "then"]);
    }
  },
  // A namespace that was asked for and never joined has nothing to be disconnected from.
  async lostBefore() {
    const server = falseServer(HANDSHAKE, "4x");
    const socket = io(await listen(server), { transports: ["polling"], reconnection: false });
    socket.on("disconnect", () => assert.fail("it was not connected"));
    assert.strictEqual((await heard(socket, "connect_error"))[0].message, "parse error");
    server.close();
    server.closeAllConnections();
  },
  // The server's answer to who has left meanwhile is answered, so that both agree on who is there.
  async changesItsMind() {
    const main = await opened({ transports: ["websocket"] });
    const admin = open({ transports: ["websocket"], auth: { token: "right" } }, "/admin");
    admin.disconnect();
    for (let n = 0; n < 3; n++) await main.emitWithAck("echo");
    main.on("disconnect", () => assert.fail("the server takes a second CONNECT for an error"));
    admin.connect();
    await heard(admin, "connect");
    main.off("disconnect");
    assert.strictEqual(await admin.emitWithAck("echo", 1), 1);
  },
  // A number that is the session's own must not answer the next session's question.
  async lateAnswer() {
    const server = falseServer(HANDSHAKE, '40{"sid":"of session #"}', '427["question"]', "6");
    const packets = [];
    server.on("packet", (packet) => packets.push(packet));
    const socket = io(await listen(server), { transports: ["polling"], reconnectionDelay: 30 });
    sockets.push(socket);
    const [stale] = await heard(socket, "question");
    const lost = heard(socket, "disconnect");
    socket.io.engine.close();
    await lost;
    const [fresh] = await heard(socket, "question");
    stale("stale");
    fresh("fresh");
    socket.emit("end");
    while (!packets.includes('42["end"]')) await heard(server, "packet");
    assert.deepStrictEqual(packets, ["40", "1", "40", '437["fresh"]', '42["end"]']);
    socket.disconnect();
    while (packets.pop() !== "1") await heard(server, "packet");
    server.close();
    server.closeAllConnections();
  },
  async unwritable() {
    const thrown = once(process, "uncaughtException");
    const socket = open({ transports: ["polling"] });
    const circle = {};
    circle.circle = circle;
    socket.emit("echo", circle);
    assert.strictEqual(await socket.emitWithAck("echo", "the next"), "the next");
    assert.match((await thrown)[0].message, /circular/);
    assert.throws(() => socket.emit("echo", circle), /circular/);
    assert.strictEqual(await socket.emitWithAck("echo", "the one after"), "the one after");
  },
  // A listener that throws neither ends the polling nor keeps the next one from hearing.
  async throws() {
    const socket = await opened({ transports: ["polling"] });
    const thrown = once(process, "uncaughtException");
    socket.on("binary", () => {
      throw new Error("the page's own");
    });
    const second = heard(socket, "binary");
    socket.emit("binary", 1);
    assert.deepStrictEqual(await second, [1]);
    assert.strictEqual((await thrown)[0].message, "the page's own");
    assert.strictEqual(await socket.emitWithAck("echo", 2), 2);
  },
  // The delays double, stay within their bounds, and are spread at the maximum as they are before it.
  async delays() {
    proxy.mode = "refuse";
    const { random } = Math;
    const real = globalThis.setTimeout;
    const asked = [];
    const bounds = async (value) => {
      // The timer that is set right after a random number was drawn is the one of the reconnection.
      let drawn = false;
      Math.random = () => {
        drawn = true;
        return value;
      };
      globalThis.setTimeout = (f, ms, ...args) => {
        if (!drawn) return real(f, ms, ...args);
        drawn = false;
        asked.push(ms);
        return real(f, 0);
      };
      const delays = { reconnectionAttempts: 4, reconnectionDelay: 1000, reconnectionDelayMax: 5000 };
      const socket = open(Object.assign({ transports: ["polling"], forceNew: true }, delays));
      await new Promise((resolve) => socket.io.once("reconnect_failed", resolve));
      return asked.splice(0).map(Math.round);
    };
    try {
      assert.deepStrictEqual(await bounds(0), [500, 1000, 1667, 1667]);
      assert.deepStrictEqual(await bounds(1), [1500, 3000, 5000, 5000]);
    } finally {
      Math.random = random;
      globalThis.setTimeout = real;
    }
  },
};

async function run(name, test, transports) {
  proxy = new Proxy(process.argv[2]);
  url = await listen(proxy.server);
  sockets = [];
  const watch = setTimeout(() => {
    console.error(`${name}: not over after 30 s`);
    process.exit(1);
  }, 30000);
  try {
    await test(transports);
  } catch (error) {
    console.error(`${name} failed:`, error);
    process.exitCode = 1;
  }
  clearTimeout(watch);
  if (proxy.mode !== "pass") proxy.cut();
  for (const socket of sockets) socket.disconnect();
  const engines = sockets.map((socket) => socket.io.engine).filter((engine) => engine && engine.readyState !== "closed");
  await Promise.all(engines.map((engine) => heard(engine, "close")));
  proxy.server.close();
  proxy.cut();
}

(async () => {
  const began = Date.now();
  let count = 0;
  const tests = [];
  for (const test of [talk, binary, acknowledgements, ends, chat, namespaces, restart, silence])
    for (const name of Object.keys(TRANSPORTS)) tests.push([`${test.name} by ${name}`, test, TRANSPORTS[name]]);
  const apart = [upgrade, noWebSocket, givesUp, payloads, options, listeners, malformed, onTheWire, offline];
  for (const test of [...apart, ...(official ? [] : Object.values(OWN))]) tests.push([test.name, test]);
  for (const [name, test, transports] of tests) {
    if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
    await run(name, test, transports);
    count++;
  }
  console.log(`${official ? "socket.io-client" : "own client"}: ${count} tests in ${((Date.now() - began) / 1000).toFixed(1)} s`);
  process.exit();
})();
