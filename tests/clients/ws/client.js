// Echo, ping, close, topics and, where the server has it on, compression, as a program that knows WebSocket from `ws` meets them.
"use strict";
const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

const deflates = Boolean(process.env.THRONG_DEFLATE);
const url = `${process.env.TLS_CERT ? "wss" : "ws"}://${process.env.THRONG}`;

const open = async (path, options) => {
  const socket = new WebSocket(`${url}${path}`, options);
  // Several messages may come in one read, and are then told one after the other, with nobody awaiting the second.
  const [heard, waiting] = [[], []];
  socket.on("message", (data, isBinary) => (waiting.length ? waiting.shift()([data, isBinary]) : heard.push([data, isBinary])));
  socket.heard = () => (heard.length ? heard.shift() : new Promise((resolve) => waiting.push(resolve)));
  await once(socket, "open");
  return socket;
};

async function echo() {
  const socket = await open("/ws");
  // ws offers it without being asked.
  assert.strictEqual(socket.extensions, deflates ? "permessage-deflate" : "");
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

// Every window on either side, with the contexts that each side allows the other: what ws's zlib has compressed, and what it makes of
// what throng has.
async function compression() {
  let seed = 1;
  const random = (below) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % below;
  const message = () => {
    const letters = [2, 20, 256][random(3)];
    const bytes = Buffer.from(Array.from({ length: [0, 1, 50, 3000, 40000][random(5)] }, () => random(letters)));
    return random(2) ? bytes : bytes.toString("latin1");
  };
  for (let bits = 9; bits <= 15; bits++) {
    for (const takeover of [0, 1, 2, 3]) {
      const perMessageDeflate = {
        threshold: random(2) * 1000,
        serverMaxWindowBits: bits,
        clientMaxWindowBits: 24 - bits,
        // Said as false, the server would have to keep it.
        serverNoContextTakeover: takeover & 1 ? true : undefined,
        clientNoContextTakeover: takeover & 2 ? true : undefined,
      };
      const socket = await open("/ws", { perMessageDeflate });
      assert.strictEqual(socket.extensions, "permessage-deflate");
      const messages = Array.from({ length: 12 }, message);
      messages.forEach((one) => socket.send(one));
      for (const one of messages) {
        const [data, isBinary] = await socket.heard();
        assert.strictEqual(isBinary, typeof one !== "string");
        assert.ok(data.equals(Buffer.from(one)), `window ${bits}, takeover ${takeover}, ${one.length} bytes`);
      }
      socket.close();
      await once(socket, "close");
    }
  }
  // Of a window of 8 there is no compressor: the connection does without.
  const plain = await open("/ws", { perMessageDeflate: { serverMaxWindowBits: 8 } });
  assert.strictEqual(plain.extensions, "");
  plain.terminate();
  // A bomb of 64 MiB in 64 KB.
  const bomb = await open("/ws", { perMessageDeflate: { threshold: 0 } });
  bomb.send(Buffer.alloc(64 << 20));
  assert.strictEqual((await once(bomb, "close"))[0], 1009);
}

async function refusals() {
  const socket = await open("/");
  socket.send(Buffer.alloc((1 << 20) + 1));
  const [code] = await once(socket, "close");
  assert.strictEqual(code, 1009);
  const refused = new WebSocket(`${url}/topic/`);
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
  if (deflates) await compression();
})();
