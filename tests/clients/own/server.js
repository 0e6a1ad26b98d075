// What client.js needs of a server, on npm's `socket.io`. Says `listening on http://…` once it does.
"use strict";
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer();
const io = new Server(http, { pingInterval: 1000, pingTimeout: 2000, maxHttpBufferSize: 100000, perMessageDeflate: false });

const talk = (socket) => {
  socket.on("echo", (...args) => args.pop()(...args));
  socket.on("binary", (...args) => socket.emit("binary", ...args));
  socket.on("ask", (...args) => socket.emit("question", ...args, (...answer) => socket.emit("answered", ...answer)));
  socket.on("kick", () => socket.disconnect());
  socket.on("who", (ack) => {
    const { auth, query, headers } = socket.handshake;
    ack({ auth, q: query.q, header: headers["x-own"] });
  });
};

io.on("connection", (socket) => {
  talk(socket);
  socket.on("chat message", (...args) => io.emit("chat message", ...args));
});
const admin = io.of("/admin");
admin.use((socket, next) => {
  next(socket.handshake.auth.token === "right" ? undefined : Object.assign(new Error("not authorized"), { data: { code: 401 } }));
});
admin.on("connection", talk);

io.of(/^\/room-\d+$/).on("connection", (socket) => {
  talk(socket);
  socket.on("chat message", (...args) => socket.nsp.emit("chat message", ...args));
});

http.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${http.address().port}`));
