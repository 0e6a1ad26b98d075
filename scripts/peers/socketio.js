// npm's `socket.io` as a peer: the event `echo` comes back, `publish` goes to everybody. `node socketio.js --bind ADDRESS:PORT`
const { createServer } = require("node:http");
const { Server } = require("socket.io");
const [host, port] = process.argv[3].split(":");
const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false });
io.on("connection", (socket) => {
  socket.on("echo", (text) => socket.emit("echo", text));
  socket.on("publish", (text) => io.emit("publish", text));
});
server.listen({ host, port: Number(port), backlog: 65535 });
