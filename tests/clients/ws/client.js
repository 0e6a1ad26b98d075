// Echo, ping, close and topics, as a program that knows WebSocket from `ws` meets them.
"use strict";
const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

const open = async (path, options) => {
  const socket = new WebSocket(`ws://${process.env.THRONG}${path}`, options);
  // Several messages may come in one read, and are then told one after the other, with nobody awaiting the second.
  const [heard, waiting] = [[], []];
  socket.on("message", (data, isBinary) => (waiting.length ? waiting.shift()([data, isBinary]) : heard.push([data, isBinary])));
  socket.heard = () => (heard.length ? heard.shift() : new Promise((resolve) => waiting.push(resolve)));
  await once(socket, "open");
  return socket;
};

async function echo() {
  const socket = await open("/ws");
  assert.strictEqual(socket.extensions, "", "ws offers compression, and throng declines");
  const messages = ["häh? 😀", "", Buffer.alloc(0), Buffer.alloc(125, 1), Buffer.alloc(126, 2), "x".repeat(70000), Buffer.alloc(1 << 20, 3)];
  for (const message of messages) {
    socket.send(message);
    const [data, isBinary] = await socket.heard();
    assert.strictEqual(isBinary, typeof message !== "string");
    assert.ok(data.equals(Buffer.from(message)), `${data.length} bytes for ${message.length}`);
  }
  // In one go, and in fragments.
  for (let n = 0; n < 1000; n++) socket.send(String(n));
  for (let n = 0; n < 1000; n++) assert.strictEqual(String((await socket.heard())[0]), String(n));
  ["in ", "three ", "parts"].forEach((part, at) => socket.send(part, { fin: at === 2 }));
  assert.strictEqual(String((await socket.heard())[0]), "in three parts");

  socket.ping("ping");
  assert.strictEqual(String((await once(socket, "pong"))[0]), "ping");
  socket.close(4000, "done");
  const [code, reason] = await once(socket, "close");
  // The code comes back, and it alone (RFC 6455 section 5.5.1).
  assert.deepStrictEqual([code, String(reason)], [4000, ""]);
}

async function refusals() {
  const socket = await open("/");
  socket.send(Buffer.alloc((1 << 20) + 1));
  const [code] = await once(socket, "close");
  assert.strictEqual(code, 1009);
  const refused = new WebSocket(`ws://${process.env.THRONG}/topic/`);
  const [error] = await once(refused, "error");
  assert.match(error.message, /404/);
}

async function topic() {
  const [one, other, outsider] = await Promise.all(["/topic/a", "/topic/a", "/topic/b"].map((path) => open(path)));
  one.send("from one");
  assert.strictEqual(String((await other.heard())[0]), "from one");
  other.send(Buffer.from([0, 255]));
  // What `one` hears first is what the other said: it does not hear itself.
  assert.deepStrictEqual(await one.heard(), [Buffer.from([0, 255]), true]);
  outsider.on("message", () => assert.fail("a topic is heard by its members alone"));
  outsider.ping();
  await once(outsider, "pong");
  for (const socket of [one, other, outsider]) {
    socket.close();
    assert.strictEqual((await once(socket, "close"))[0], 1005, "a close without a code comes back without one");
  }
}

(async () => {
  await echo();
  await refusals();
  await topic();
})();
