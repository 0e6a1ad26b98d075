// npm's `ws` as a peer: `/` echoes, `/topic/NAME` relays. `node ws.js --bind ADDRESS:PORT`
const { createServer } = require("node:http");
const { WebSocketServer } = require("ws");
const [host, port] = process.argv[3].split(":");
const members = new Set();
const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket, request) => {
  const listens = request.url.startsWith("/topic/");
  socket.on("error", () => {});
  if (!listens) {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    return;
  }
  members.add(socket);
  socket.on("close", () => members.delete(socket));
  socket.on("message", (data, binary) => {
    for (const member of members) {
      if (member !== socket) member.send(data, { binary });
    }
  });
});
server.listen({ host, port: Number(port), backlog: 65535 });
