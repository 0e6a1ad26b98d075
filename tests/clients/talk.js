// What every version of `socket.io-client` must be able to say to throng: by polling, by WebSocket and on the way from one to
// the other, on one shard and on three.
//
// The client is the one on NODE_PATH; $PARSER names a parser for both sides ("msgpack").
"use strict";
const assert = require("node:assert");
const { once } = require("node:events");
const { io, Manager } = require("socket.io-client");
const { start } = require("./restart.js");

const parser = process.env.PARSER === "msgpack" ? require("socket.io-msgpack-parser") : undefined;
const flags = ["--ping-interval", "200", "--ping-timeout", "2000", ...(parser ? ["--msgpack"] : [])];
// With three shards messages are compressed as well.
const deflates = (shards) => shards === "3";
const starting = (shards) => ["--shards", shards, ...(deflates(shards) ? ["--deflate"] : []), ...flags];
const bytes = (...list) => Buffer.from(list);
// Bytes arrive as a Buffer by one transport and as an ArrayBuffer by the other.
const plain = (value) => {
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (value === null || typeof value !== "object" || Buffer.isBuffer(value)) return value;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
};
const heard = (socket, event, ms = 8000) =>
  new Promise((resolve, reject) => {
    const watch = setTimeout(() => reject(new Error(`no ${event} within ${ms} ms`)), ms);
    socket.once(event, (...args) => {
      clearTimeout(watch);
      resolve(plain(args));
    });
  });
const asked = (socket, ...args) => new Promise((resolve) => socket.emit(...args, (...answer) => resolve(plain(answer))));

const MODES = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const VALUES = [1, -2.5, "häh? 😀", "</script>\u001e\u2028", true, null, [1, [2, []]], { a: { b: "c" } }, "x".repeat(60000)];

async function open(url, mode, options) {
  const manager = new Manager(url, { transports: MODES[mode], parser, reconnectionDelay: 50, reconnectionDelayMax: 100, ...options });
  const socket = manager.socket("/", { auth: { token: mode } });
  await heard(socket, "connect");
  return socket;
}

// For good: with all of its namespaces, and without coming back.
function leave(socket) {
  socket.io.reconnection(false);
  socket.io.engine.close();
}

async function events(socket, mode) {
  // Asked while it moves from one transport to the other, and answered in order.
  const numbers = [];
  const all = Array.from({ length: 50 }, (_, n) => n);
  const answers = all.map((n) => asked(socket, "echo", n).then(([answer]) => numbers.push(answer)));
  if (mode === "upgrade" && socket.io.engine.transport.name !== "websocket") await once(socket.io.engine, "upgrade");
  await Promise.all(answers);
  assert.deepStrictEqual(numbers, all);
  assert.strictEqual(socket.io.engine.transport.name, MODES[mode].at(-1));

  assert.deepStrictEqual(await asked(socket, "echo", ...VALUES), VALUES);
  assert.deepStrictEqual(await asked(socket, "echo"), []);
  const binary = [bytes(), { deep: [bytes(0, 1, 255), "between", bytes(0x1e, 0x62)] }, Buffer.alloc(70000, 7)];
  assert.deepStrictEqual(await asked(socket, "echo", ...binary), binary);
  socket.emit("binary", "first", ...binary);
  assert.deepStrictEqual(await heard(socket, "binary"), ["first", ...binary]);

  // The server asks, and says what it was answered.
  socket.once("question", (question, answer) => answer(question, bytes(9, 8)));
  socket.emit("ask", { what: "?" });
  assert.deepStrictEqual(await heard(socket, "answered"), [{ what: "?" }, bytes(9, 8)]);
  assert.deepStrictEqual((await asked(socket, "who"))[0].auth, { token: mode });
}

async function broadcasts(server, mode) {
  const { url } = server;
  const sockets = await Promise.all(Object.keys(MODES).map((one) => open(url, one)));
  const speaker = sockets[Object.keys(MODES).indexOf(mode)];
  for (const [say, ...expected] of [
    [() => speaker.emit("chat message", "to all", bytes(1, 2, 3)), "to all", bytes(1, 2, 3)],
    [() => server.tell("by another thread"), "by another thread"],
    [() => fetch(`${url}/say`, { method: "POST", body: "by a route" }), "by a route"],
  ]) {
    const all = Promise.all(sockets.map((socket) => heard(socket, "chat message")));
    say();
    for (const message of await all) assert.deepStrictEqual(message, expected);
  }
  // All are asked by one packet, and their answers counted.
  sockets.forEach((socket) => socket.once("question", (...args) => args.pop()(...args)));
  const surveyed = Promise.all(sockets.map((socket) => heard(socket, "surveyed")));
  speaker.emit("survey", "who?", bytes(4));
  for (const counts of await surveyed) assert.deepStrictEqual(counts, [sockets.length, 0]);
  assert.strictEqual(new Set(sockets.map((socket) => socket.id)).size, sockets.length);
  sockets.forEach(leave);
}

async function namespaces(url, mode) {
  const socket = await open(url, mode);
  const manager = socket.io;
  const refused = manager.socket("/admin", { auth: { token: "wrong" } });
  const [error] = await new Promise((resolve) => refused.once("connect_error", (...args) => resolve(args)));
  assert.deepStrictEqual([error.message, plain(error.data)], ["not authorized", { code: 401 }]);
  const nowhere = manager.socket("/nowhere");
  assert.strictEqual((await new Promise((resolve) => nowhere.once("connect_error", resolve))).message, "Invalid namespace");

  refused.auth = { token: "right" };
  refused.connect();
  await heard(refused, "connect");
  assert.notStrictEqual(refused.id, socket.id);
  assert.deepStrictEqual(await asked(refused, "echo", "in /admin", bytes(5)), ["in /admin", bytes(5)]);
  assert.deepStrictEqual(await asked(socket, "echo", "in /"), ["in /"]);

  // Why others are gone.
  for (const [leave, reason] of [
    [(other) => other.disconnect(), /^client namespace disconnect$/],
    [(other) => other.io.engine.close(), /^transport (close|error)$/],
  ]) {
    const other = new Manager(url, { transports: MODES[mode], parser, reconnection: false, forceNew: true }).socket("/admin", { auth: { token: "right" } });
    await heard(other, "connect");
    const [id, left] = [other.id, heard(refused, "left")];
    // The first leaves its only namespace, and with it its session.
    leave(other);
    const [who, why] = await left;
    assert.strictEqual(who, id);
    assert.match(why, reason);
  }

  // Sent away it stays away, until it asks again.
  const kicked = refused.id;
  const gone = heard(refused, "disconnect");
  refused.emit("kick");
  assert.strictEqual((await gone)[0], "io server disconnect");
  refused.connect();
  await heard(refused, "connect");
  assert.notStrictEqual(refused.id, kicked);
  assert.deepStrictEqual(await asked(socket, "echo", "still there"), ["still there"]);
  // Heartbeats go on: a client that got none for ping_interval + ping_timeout would leave.
  for (let pings = 0; pings < 2; ) pings += (await once(manager.engine, "packet"))[0].type === "ping";
  leave(socket);
}

async function restarts(server, shards, mode) {
  const socket = await open(server.url, mode);
  if (mode === "upgrade" && socket.io.engine.transport.name !== "websocket") await once(socket.io.engine, "upgrade");
  const before = socket.id;
  const gone = heard(socket, "disconnect");
  await server.stop();
  assert.match((await gone)[0], /^transport (close|error)$/);
  // Kept until it is connected again, and then sent.
  const kept = asked(socket, "echo", "kept", bytes(1));
  const back = heard(socket, "connect");
  const again = await start("--bind", server.host, ...starting(shards));
  await back;
  assert.notStrictEqual(socket.id, before);
  assert.deepStrictEqual(await kept, ["kept", bytes(1)]);
  socket.disconnect();
  return again;
}

// A client without the parser is a client that is wrong: its session ends, and nobody else's.
async function mismatch(url) {
  const right = await open(url, "websocket");
  const wrong = io(url, { transports: ["websocket"], reconnection: false, forceNew: true });
  await heard(wrong.io, "close");
  assert.strictEqual(wrong.connected, false);
  assert.deepStrictEqual(await asked(right, "echo", 1), [1]);
  right.disconnect();
}

(async () => {
  for (const shards of ["1", "3"]) {
    let server = await start(...starting(shards));
    for (const mode of Object.keys(MODES)) {
      const socket = await open(server.url, mode);
      await events(socket, mode);
      const { extensions } = socket.io.engine.transport.ws ?? {};
      assert.ok(mode === "polling" || /^permessage-deflate/.test(extensions) === deflates(shards), extensions);
      socket.disconnect();
      await broadcasts(server, mode);
      await namespaces(server.url, mode);
      server = await restarts(server, shards, mode);
      console.log(`${shards} shards, ${mode}: events, acks, binary, broadcasts, namespaces, refusals, restart`);
    }
    if (parser) await mismatch(server.url);
    await server.stop();
  }
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
