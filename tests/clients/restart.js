// A Socket.IO server on throng that a test starts, stops, and starts again on the same port.
"use strict";
const { spawn } = require("node:child_process");
const { once } = require("node:events");

// $IO_SERVER is the built example; `flags` are its own. It ends with this process: its standard input does.
async function start(...flags) {
  const { TLS_CERT, TLS_KEY } = process.env;
  if (TLS_CERT) flags.push("--tls-cert", TLS_CERT, "--tls-key", TLS_KEY);
  const child = spawn(process.env.IO_SERVER, flags, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdout.setEncoding("utf8");
  let said = "";
  while (!said.includes("\n")) said += (await once(child.stdout, "data"))[0];
  const url = said.trim().replace("listening on ", "");
  const stop = async () => {
    const ended = once(child, "exit");
    child.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`the server ended with ${code}`);
  };
  // Everybody hears it as a "chat message".
  const tell = (line) => child.stdin.write(`${line}\n`);
  return { url, host: new URL(url).host, stop, tell };
}

module.exports = { start };
