// What stands between client.js and the server: the client that is tried, a proxy that fails on demand, a false server.
"use strict";
const http = require("node:http");
const net = require("node:net");
const { once } = require("node:events");

// A browser has both; node has no page, and before 22 no WebSocket.
const page = new EventTarget();
globalThis.addEventListener = page.addEventListener.bind(page);
globalThis.removeEventListener = page.removeEventListener.bind(page);
if (!globalThis.WebSocket) globalThis.WebSocket = require("ws").WebSocket;

const official = process.env.CLIENT === "official";
const io = official ? require("socket.io-client") : require("../../../src/app/io/client/socket.io.js");

// Resolves with the arguments of the event, and rejects where it is not told in time.
const heard = (emitter, event, ms = 10000) =>
  new Promise((resolve, reject) => {
    const watch = setTimeout(() => reject(new Error(`no ${event} within ${ms} ms`)), ms);
    emitter.once(event, (...args) => {
      clearTimeout(watch);
      resolve(args);
    });
  });

const listen = async (server) => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
};

// Passes bytes between a port of its own and the server, until it is told to fail.
class Proxy {
  constructor(target) {
    this.target = new URL(target);
    // "pass"; "refuse" resets who connects; "stall" swallows what either side says.
    this.mode = "pass";
    this.websocket = true;
    this.requests = [];
    this.pairs = new Set();
    this.server = net.createServer((near) => this.accept(near));
  }
  accept(near) {
    if (this.mode === "refuse") return near.resetAndDestroy();
    const far = net.connect(this.target.port, this.target.hostname);
    const pair = [near, far];
    this.pairs.add(pair);
    const end = () => {
      this.pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on("close", end).on("error", end);
    near.on("data", (bytes) => {
      const [, method] = /^(GET|POST) /.exec(bytes.toString("latin1", 0, 5)) || [];
      const upgrade = /^upgrade: *websocket/im.test(bytes.toString("latin1"));
      if (method) this.requests.push(upgrade ? "UPGRADE" : method);
      if (upgrade && !this.websocket) return end();
      return this.mode === "stall" || far.write(bytes);
    });
    far.on("data", (bytes) => this.mode === "stall" || near.write(bytes));
    return undefined;
  }
  // The server goes away, as far as its clients can tell.
  refuse() {
    this.mode = "refuse";
    this.cut();
  }
  cut() {
    for (const pair of [...this.pairs]) for (const socket of pair) socket.destroy();
  }
}

// A server of polling alone that says each of `bodies` to one GET of a session, and the last to all that follow, "#" in it
// being the session's number. It tells each packet that it gets as "packet".
const falseServer = (...bodies) => {
  let gets = 0;
  let sessions = 0;
  const server = http.createServer(async (request, response) => {
    if (request.method === "POST") {
      const packets = Buffer.concat(await request.toArray()).toString();
      for (const packet of packets.split("\x1e")) server.emit("packet", packet);
      return response.end("ok");
    }
    gets = request.url.includes("sid=") ? Math.min(gets + 1, bodies.length - 1) : 0;
    if (gets === 0) sessions++;
    return response.end(bodies[gets].replace("#", sessions));
  });
  return server;
};

module.exports = { Proxy, falseServer, heard, io, listen, official, page };
