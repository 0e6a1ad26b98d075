// throng's own Socket.IO client for browsers: Engine.IO 4, Socket.IO 5, and the words of the official client's API.
//
// Served as /socket.io/socket.io.js where no other bundle is configured. From the bottom: the codec, the two transports,
// Engine (one session: heartbeat, upgrade), Manager (one server: namespaces, reconnection), Socket (one namespace).
// Plain ES2017: no dependencies, no build step. It sets globalThis.io, and is a CommonJS module as well.
//
// Never here: state recovery, retries, other parsers, WebTransport. `extraHeaders` reach polling alone, since a browser's
// WebSocket takes none.
(() => {
  "use strict";

  const [CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT] = [0, 1, 2, 3, 4, 5];
  const RESERVED = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];
  const DEFAULTS = {
    path: "/socket.io",
    transports: ["polling", "websocket"],
    reconnection: true,
    reconnectionAttempts: Infinity,
    reconnectionDelay: 1000,
    reconnectionDelayMax: 5000,
    randomizationFactor: 0.5,
    timeout: 20000,
  };

  const inPage = typeof addEventListener === "function";
  const isBlob = (value) => typeof Blob === "function" && value instanceof Blob;
  const isBinary = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value) || isBlob(value);
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

  // A listener's error is the page's to see, through its onerror, and stops nothing that the client is in the middle of.
  const call = (listener, self, args) => {
    try {
      listener.apply(self, args);
    } catch (error) {
      setTimeout(() => {
        throw error;
      });
    }
  };

  class Emitter {
    constructor() {
      this._listeners = new Map();
    }
    on(event, listener) {
      // Lists are replaced, never changed: a listener may come or go while its event is told.
      this._listeners.set(event, this.listeners(event).concat(listener));
      return this;
    }
    once(event, listener) {
      const once = (...args) => {
        this.off(event, once);
        listener.apply(this, args);
      };
      once.listener = listener;
      return this.on(event, once);
    }
    off(event, listener) {
      if (event === undefined) this._listeners.clear();
      else if (listener === undefined) this._listeners.delete(event);
      else {
        const all = this.listeners(event);
        const gone = all.find((one) => one === listener || one.listener === listener);
        const left = all.filter((one) => one !== gone);
        this._listeners.set(event, left);
      }
      return this;
    }
    listeners(event) {
      return this._listeners.get(event) || [];
    }
    hasListeners(event) {
      return this.listeners(event).length > 0;
    }
    _tell(event, ...args) {
      for (const listener of this.listeners(event)) call(listener, this, args);
    }
  }
  Emitter.prototype.addEventListener = Emitter.prototype.on;
  for (const name of ["removeListener", "removeAllListeners", "removeEventListener"])
    Emitter.prototype[name] = Emitter.prototype.off;

  // A packet as the engine sends it: the text, then the attachments that its placeholders stand for.
  const encode = ({ type, nsp, id, data }) => {
    const attachments = [];
    const json = JSON.stringify(data, function (key, value) {
      // this[key] is what stood there before toJSON, which node's Buffer has.
      const binary = (type === EVENT || type === ACK) && isBinary(this[key]);
      return binary ? { _placeholder: true, num: attachments.push(this[key]) - 1 } : value;
    });
    const head = attachments.length ? `${type + 3}${attachments.length}-` : type;
    const text = [head, nsp === "/" ? "" : `${nsp},`, id, json].join("");
    return [text, ...attachments];
  };

  const HEAD = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*)(?:,|$))?(\d+)?([^]*)$/;

  // What each type must carry, by its number.
  const VALID = [
    ({ data }) => data === undefined || isObject(data),
    ({ data }) => data === undefined,
    ({ data }) => Array.isArray(data) && ["string", "number"].includes(typeof data[0]) && !RESERVED.includes(data[0]),
    ({ data, id }) => Array.isArray(data) && id !== undefined,
    ({ data }) => typeof data === "string" || isObject(data),
  ];

  class Decoder {
    // The packet that `message` completes, undefined while attachments are due. Throws where it is none.
    add(message) {
      if (typeof message === "string") {
        if (this._partial) throw new Error("a text where an attachment is due");
        const [, type, count, nsp, id, json] = HEAD.exec(message) || [];
        if (!type || type >= BINARY_EVENT !== (count !== undefined)) throw new Error("no packet");
        const plain = type >= BINARY_EVENT ? type - 3 : Number(type);
        this._partial = { type: plain, nsp: nsp || "/", id, json, count: Number(count || 0), attachments: [] };
      } else {
        if (!this._partial) throw new Error("an attachment that belongs to no packet");
        this._partial.attachments.push(message);
      }
      const { type, nsp, id, json, count, attachments } = this._partial;
      if (attachments.length < count) return undefined;
      this._partial = undefined;
      const restore = (key, value) => {
        if (!count || !value || value._placeholder !== true) return value;
        if (!Number.isInteger(value.num) || !attachments[value.num]) throw new Error("a placeholder for nothing");
        return attachments[value.num];
      };
      const packet = { type, nsp, id: id && Number(id), data: json ? JSON.parse(json, restore) : undefined };
      if (!VALID[type](packet)) throw new Error("not what a packet of its type carries");
      return packet;
    }
  }

  const failure = (message, description) => Object.assign(new Error(message), { type: "TransportError", description });

  const utf8 = new TextEncoder();
  const sizeOf = (packet) => {
    if (typeof packet === "string") return utf8.encode(packet).length;
    return 1 + 4 * Math.ceil((isBlob(packet) ? packet.size : packet.byteLength) / 3);
  };

  // Polling has no frames: a packet is a text, and an attachment is its base64 behind a "b".
  const toText = async (packet) => {
    if (typeof packet === "string") return packet;
    const data = isBlob(packet) ? await packet.arrayBuffer() : packet;
    const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
    let chars = "";
    for (const byte of bytes) chars += String.fromCharCode(byte);
    return `b${btoa(chars)}`;
  };

  // One GET at a time that waits for packets, one POST at a time that carries them.
  class PollingTransport {
    constructor(engine) {
      this.name = "polling";
      this.writable = true;
      this._engine = engine;
      this._abort = new AbortController();
      this._polls = Promise.resolve();
      this.resume();
    }
    resume() {
      this._paused = false;
      // After the loop that was paused: a server ends a session that has two GETs open.
      this._polls = this._polls.then(() => this._poll());
    }
    async _poll() {
      while (!this._paused && !this._abort.signal.aborted) {
        const body = await this._fetch("GET", "xhr poll error");
        if (body === undefined) return;
        for (const packet of body.split("\x1e")) this._engine._packet(this, packet);
      }
    }
    async _fetch(method, message, body) {
      const { extraHeaders: headers, withCredentials } = this._engine.opts;
      const credentials = withCredentials ? "include" : "same-origin";
      let cause;
      try {
        const { signal } = this._abort;
        const url = this._engine._url("http", this);
        const response = await fetch(url, { method, body, headers, credentials, signal, cache: "no-store" });
        if (response.ok) return await response.text();
        cause = response.status;
      } catch (error) {
        cause = error;
      }
      this._engine._lost(this, "transport error", failure(message, cause));
      return undefined;
    }
    get idle() {
      return this.writable;
    }
    // Both requests have come back, and no further GET follows.
    pause() {
      this._paused = true;
      return Promise.all([this._polls, this._posts]);
    }
    send() {
      this.writable = false;
      this._posts = this._post();
    }
    async _post() {
      // What else is emitted in this task shares the request.
      await undefined;
      const texts = await Promise.all(this._batch().map(toText));
      if ((await this._fetch("POST", "xhr post error", texts.join("\x1e"))) === undefined) return;
      this.writable = true;
      this._engine._sent();
    }
    // A server refuses a body above its maxPayload. What is too large by itself goes alone, and is refused alone.
    _batch() {
      const queue = this._engine.writeBuffer;
      let count = 0;
      for (let bytes = -1; count < queue.length; count++) {
        bytes += 1 + sizeOf(queue[count]);
        if (count > 0 && bytes > this._engine._maxPayload) break;
      }
      return queue.splice(0, count);
    }
    close() {
      this._abort.abort();
    }
    leave() {
      navigator.sendBeacon(this._engine._url("http", this), "1");
    }
  }

  class WebSocketTransport {
    constructor(engine, probes) {
      this.name = "websocket";
      this.writable = false;
      this._engine = engine;
      this._socket = new WebSocket(engine._url("ws", this));
      this._socket.binaryType = "arraybuffer";
      this._socket.onopen = () => {
        this.writable = true;
        if (probes) this._socket.send("2probe");
      };
      this._socket.onmessage = ({ data }) => engine._packet(this, data);
      this._socket.onerror = (event) => engine._lost(this, "transport error", failure("websocket error", event));
      this._socket.onclose = (context) =>
        engine._lost(this, "transport close", { description: "websocket connection closed", context });
    }
    // Nothing waits in the browser's own buffer: what is volatile may be sent.
    get idle() {
      return this.writable && this._socket.bufferedAmount === 0;
    }
    send() {
      for (const packet of this._engine.writeBuffer.splice(0)) this._socket.send(packet);
      this._engine._sent();
    }
    close() {
      this._socket.close();
    }
    leave() {
      this.close();
    }
  }

  class Engine extends Emitter {
    constructor(manager) {
      super();
      this.opts = manager.opts;
      this.id = undefined;
      this.readyState = "opening";
      this.upgrading = false;
      // Packets as they go out: a text with its type in front, or an attachment.
      this.writeBuffer = [];
      this._manager = manager;
      this._uri = manager.uri;
      this._left = [...this.opts.transports];
      this._page = {
        offline: () => this._finish("transport close", { description: "network connection lost" }),
        // The page goes, and its listeners need not hear of it. A page kept for coming back finds out by the heartbeat.
        pagehide: ({ persisted }) => {
          if (persisted) return;
          this._manager = undefined;
          if (this.readyState !== "opening") this.transport.leave();
          this._finish("forced close");
        },
      };
      if (inPage) for (const event in this._page) addEventListener(event, this._page[event]);
    }
    open() {
      try {
        this.transport = this._left.shift() === "websocket" ? new WebSocketTransport(this) : new PollingTransport(this);
      } catch (error) {
        this._finish("transport error", error);
      }
    }
    write(...packets) {
      if (this.readyState !== "open") return;
      this.writeBuffer.push(...packets);
      this._flush();
    }
    // Ends the session once what is queued is sent.
    close() {
      if (this.readyState === "opening") this._finish("forced close");
      if (this.readyState !== "open") return;
      this.readyState = "closing";
      if (this.transport.name === "polling") this.writeBuffer.push("1");
      this._flush();
    }
    get expired() {
      // Timers of a machine that slept are late: the clock is not.
      return Date.now() > this._due;
    }
    _url(scheme, { name }) {
      const query = Object.assign({}, this.opts.query, { EIO: 4, transport: name }, this.id && { sid: this.id });
      return `${scheme}${this._uri.slice(4)}${this.opts.path.replace(/\/$/, "")}/?${new URLSearchParams(query)}`;
    }
    _packet(transport, packet) {
      if (transport === this._candidate) return this._upgrade(packet);
      if (transport !== this.transport || this.readyState === "closed") return undefined;
      if (typeof packet !== "string") return this._message(packet);
      const data = packet.slice(1);
      try {
        switch (packet[0]) {
          case "0":
            return this._opened(JSON.parse(data));
          case "1":
            return this._finish("transport close", { description: "transport closed by the server" });
          case "2":
            this._heard();
            this.write("3");
            return this._manager && this._manager._tell("ping");
          case "4":
            return this._message(data);
          case "6":
            return undefined;
          case "b":
            return this._message(Uint8Array.from(atob(data), (char) => char.charCodeAt(0)).buffer);
          default:
            throw new Error("no packet");
        }
      } catch (error) {
        return this._finish("parse error", error);
      }
    }
    _opened({ sid, upgrades, pingInterval, pingTimeout, maxPayload }) {
      const patience = pingInterval + pingTimeout;
      if (this.readyState !== "opening" || typeof sid !== "string" || !(patience > 0)) throw new Error("no handshake");
      this.readyState = "open";
      this.id = sid;
      this._maxPayload = maxPayload || Infinity;
      this._patience = patience;
      this._heard();
      this._tell("open");
      if (this._manager) this._manager._opened();
      const { transports, upgrade } = this.opts;
      const may = this.readyState === "open" && this.transport.name === "polling" && upgrade !== false;
      if (may && transports.includes("websocket") && [].concat(upgrades).includes("websocket")) this._probe();
    }
    // The server pings: when it does not within its interval and its patience, it or the way there is gone.
    _heard() {
      clearTimeout(this._timer);
      this._due = Date.now() + this._patience;
      this._timer = setTimeout(() => this._finish("ping timeout"), this._patience);
    }
    _message(data) {
      this._tell("message", data);
      if (this._manager) this._manager._data(data);
    }
    _probe() {
      try {
        this._candidate = new WebSocketTransport(this, "2probe");
      } catch (error) {
        // A page's policy may forbid WebSocket: polling goes on.
        this._tell("upgradeError", error);
      }
    }
    async _upgrade(packet) {
      const candidate = this._candidate;
      if (packet !== "3probe") return this._lost(candidate, "parse error", new Error("no answer to a probe"));
      this.upgrading = true;
      await this.transport.pause();
      if (this._candidate !== candidate) return undefined;
      this.transport = candidate;
      this._candidate = undefined;
      this.upgrading = false;
      this.writeBuffer.unshift("5");
      this._flush();
      return this._tell("upgrade", candidate);
    }
    _flush() {
      if (this.readyState === "opening" || this.readyState === "closed" || this.upgrading || !this.transport.writable) return;
      if (this.writeBuffer.length > 0) this.transport.send();
      else if (this.readyState === "closing") this._finish("forced close");
    }
    _sent() {
      this._tell("drain");
      this._flush();
    }
    _lost(transport, reason, details) {
      if (this.readyState === "closed") return;
      if (transport === this._candidate) {
        this._candidate = undefined;
        transport.close();
        if (this.upgrading) this.transport.resume();
        this.upgrading = false;
        this._tell("upgradeError", details);
        this._flush();
      } else if (transport === this.transport) {
        // Where HTTP fails WebSocket would as well, and the second attempt would only be load: the way back is the other one.
        if (this.readyState === "opening" && transport.name === "websocket" && this._left.length > 0) this.open();
        else this._finish(reason, details);
      }
    }
    _finish(reason, details) {
      if (this.readyState === "closed") return;
      this.readyState = "closed";
      clearTimeout(this._timer);
      if (inPage) for (const event in this._page) removeEventListener(event, this._page[event]);
      for (const transport of [this.transport, this._candidate]) if (transport) transport.close();
      this._candidate = undefined;
      this._tell("close", reason, details);
      if (this._manager) this._manager._lost(reason, details);
    }
  }

  class Manager extends Emitter {
    constructor(uri, opts) {
      super();
      this.uri = uri;
      this.opts = Object.assign({}, opts);
      for (const name in DEFAULTS) if (this.opts[name] === undefined) this.opts[name] = DEFAULTS[name];
      this.nsps = {};
      this.engine = undefined;
      this._state = "closed";
      this._attempts = 0;
      this._reconnecting = false;
      if (this.opts.autoConnect !== false) this.open();
    }
    // The socket of a namespace, which every caller shares.
    socket(nsp, opts) {
      const known = this.nsps[nsp];
      if (!known) this.nsps[nsp] = new Socket(this, nsp, opts);
      else if (this.opts.autoConnect !== false && !known.active) known.connect();
      return this.nsps[nsp];
    }
    // `done` is called once: without an error when the session is open.
    open(done) {
      if (this._state !== "closed") return this;
      this._state = "opening";
      this._stopped = false;
      this._done = done;
      const { timeout } = this.opts;
      if (timeout !== false) this._timer = setTimeout(() => this._lost("transport error", new Error("timeout")), timeout);
      this.engine = new Engine(this);
      this.engine.open();
      return this;
    }
    _sockets() {
      const all = Object.keys(this.nsps).map((nsp) => this.nsps[nsp]);
      return all.filter((socket) => socket.active);
    }
    _opened() {
      clearTimeout(this._timer);
      this._state = "open";
      this._decoder = new Decoder();
      for (const socket of this._sockets()) socket._open();
      this._tell("open");
      if (this._done) this._done();
    }
    _data(data) {
      let packet;
      try {
        packet = this._decoder.add(data);
      } catch (error) {
        this._lost("parse error", error);
      }
      if (packet && this.nsps[packet.nsp]) this.nsps[packet.nsp]._packet(packet);
    }
    _send(packet) {
      const [text, ...attachments] = encode(packet);
      this.engine.write(`4${text}`, ...attachments);
    }
    // The session is over, or never came to be.
    _lost(reason, details) {
      const failed = this._state === "opening" && !this._stopped;
      clearTimeout(this._timer);
      this._state = "closed";
      this.engine._manager = undefined;
      this.engine.close();
      if (failed) {
        const error = details instanceof Error ? details : new Error(reason);
        this._tell("error", error);
        for (const socket of this._sockets()) socket._tell("connect_error", error);
        if (this._done) return this._done(error);
      } else {
        this._attempts = 0;
        for (const socket of this._sockets()) socket._close(reason, details);
        this._tell("close", reason, details);
      }
      return this.opts.reconnection && this._reconnect();
    }
    _reconnect() {
      if (this._reconnecting || this._stopped || this._state !== "closed") return;
      const { reconnectionAttempts, reconnectionDelay, reconnectionDelayMax, randomizationFactor } = this.opts;
      if (this._attempts >= reconnectionAttempts) {
        this._attempts = 0;
        this._tell("reconnect_failed");
        return;
      }
      // The mean stays so far below the maximum that no delay has to be cut: clients that lost one server together
      // come back spread over the whole range, at the maximum too.
      const mean = Math.min(reconnectionDelay * 2 ** this._attempts, reconnectionDelayMax / (1 + randomizationFactor));
      const delay = mean * (1 + randomizationFactor * (2 * Math.random() - 1));
      this._reconnecting = true;
      this._attempts++;
      this._retry = setTimeout(() => this._attempt(), delay);
    }
    _attempt() {
      this._tell("reconnect_attempt", this._attempts);
      if (this._stopped || this._state !== "closed") {
        this._reconnecting = false;
        return;
      }
      this.open((error) => {
        this._reconnecting = false;
        if (error) {
          this._tell("reconnect_error", error);
          this._reconnect();
        } else {
          const attempts = this._attempts;
          this._attempts = 0;
          this._tell("reconnect", attempts);
        }
      });
    }
    // Nobody uses the connection any more.
    _leave() {
      if (this._sockets().length > 0) return;
      this._stopped = true;
      this._reconnecting = false;
      clearTimeout(this._retry);
      if (this._state !== "closed") this._lost("forced close");
    }
  }
  Manager.prototype.connect = Manager.prototype.open;
  // What may be asked and changed: manager.reconnection(), manager.reconnection(false).
  for (const name of Object.keys(DEFAULTS).slice(2)) {
    Manager.prototype[name] = function (value) {
      if (value === undefined) return this.opts[name];
      this.opts[name] = value;
      return this;
    };
  }

  class Socket extends Emitter {
    constructor(manager, nsp, opts) {
      super();
      this.io = manager;
      this.nsp = nsp;
      this.auth = opts && opts.auth;
      this.id = undefined;
      this.connected = false;
      this.recovered = false;
      // Whether it connects, or will by itself.
      this.active = false;
      this.sendBuffer = [];
      this._flags = {};
      this._acks = new Map();
      this._ids = 0;
      this._any = [];
      this._anyOutgoing = [];
      if (manager.opts.autoConnect !== false) this.connect();
    }
    get disconnected() {
      return !this.connected;
    }
    connect() {
      const waits = this.active;
      this.active = true;
      if (!this.io._reconnecting) this.io.open();
      if (!waits && this.io._state === "open") this._open();
      return this;
    }
    disconnect() {
      const connected = this.connected;
      if (connected) this.io._send({ type: DISCONNECT, nsp: this.nsp });
      this._end("io client disconnect");
      return this;
    }
    get volatile() {
      this._flags.volatile = true;
      return this;
    }
    timeout(ms) {
      this._flags.timeout = ms;
      return this;
    }
    compress() {
      return this;
    }
    send(...args) {
      return this.emit("message", ...args);
    }
    emit(event, ...args) {
      const ack = typeof args[args.length - 1] === "function" ? args.pop() : undefined;
      return this._emit([event, ...args], ack, this._flags.timeout !== undefined);
    }
    // Rejected when the connection is lost, or timeout() is over, before the answer is there.
    emitWithAck(event, ...args) {
      return new Promise((resolve, reject) => {
        this._emit([event, ...args], (error, value) => (error ? reject(error) : resolve(value)), true);
      });
    }
    onAny(listener) {
      this._any = this._any.concat(listener);
      return this;
    }
    offAny(listener) {
      this._any = listener ? this._any.filter((one) => one !== listener) : [];
      return this;
    }
    onAnyOutgoing(listener) {
      this._anyOutgoing = this._anyOutgoing.concat(listener);
      return this;
    }
    offAnyOutgoing(listener) {
      this._anyOutgoing = listener ? this._anyOutgoing.filter((one) => one !== listener) : [];
      return this;
    }
    _emit(data, ack, errorFirst) {
      const { volatile, timeout } = this._flags;
      this._flags = {};
      if (RESERVED.includes(data[0])) throw new Error(`"${data[0]}" is a reserved event name`);
      const packet = { type: EVENT, nsp: this.nsp, data };
      if (ack) {
        packet.id = this._ids++;
        const entry = { ack, errorFirst };
        if (timeout !== undefined) entry.timer = setTimeout(() => this._fail(packet.id, "operation has timed out"), timeout);
        this._acks.set(packet.id, entry);
      }
      const { engine } = this.io;
      if (!this.connected || engine.expired) {
        if (!volatile) this.sendBuffer.push(packet);
      } else if (!volatile || (engine.transport.idle && !engine.upgrading)) this._send(packet);
      return this;
    }
    _send(packet) {
      for (const listener of this._anyOutgoing) call(listener, this, packet.data);
      this.io._send(packet);
    }
    _fail(id, message) {
      const { ack, errorFirst, timer } = this._acks.get(id);
      clearTimeout(timer);
      this._acks.delete(id);
      this.sendBuffer = this.sendBuffer.filter((packet) => packet.id !== id);
      if (errorFirst) call(ack, this, [new Error(message)]);
    }
    _open() {
      const { engine } = this.io;
      // Where `auth` takes its time, the session may be another one by then.
      const connect = (data) => this.active && engine === this.io.engine && this.io._send({ type: CONNECT, nsp: this.nsp, data });
      const auth = typeof this.auth === "function" ? this.auth : (done) => done(this.auth);
      call(auth, this, [connect]);
    }
    _packet({ type, id, data }) {
      if (!this.active) {
        // It was given up before the server had answered.
        if (type === CONNECT) this.io._send({ type: DISCONNECT, nsp: this.nsp });
      } else if (type === CONNECT) this._connected(data && data.sid);
      else if (type === EVENT && this.connected) this._event(id, data);
      else if (type === ACK && this._acks.has(id)) {
        const { ack, errorFirst, timer } = this._acks.get(id);
        clearTimeout(timer);
        this._acks.delete(id);
        call(ack, this, errorFirst ? [null, ...data] : data);
      } else if (type === DISCONNECT) this._end("io server disconnect");
      else if (type === CONNECT_ERROR) {
        this._end();
        this._tell("connect_error", Object.assign(new Error(data.message || data), { data: data.data }));
      }
    }
    _connected(id) {
      if (id === undefined) {
        this._tell("connect_error", new Error("this server speaks an older protocol"));
        return;
      }
      this.id = id;
      this.connected = true;
      // One that cannot be written as JSON must not take the others with it.
      for (const packet of this.sendBuffer.splice(0)) call(this._send, this, [packet]);
      this._tell("connect");
    }
    _event(id, data) {
      // The number means this event in this session alone: an answer that comes late would be taken for another's.
      const session = this.id;
      let answered = false;
      const ack = (...answer) => {
        if (!answered && this.id === session) this.io._send({ type: ACK, nsp: this.nsp, id, data: answer });
        answered = true;
      };
      const args = id === undefined ? data : [...data, ack];
      for (const listener of this._any) call(listener, this, args);
      this._tell(...args);
    }
    // The namespace is left for good, until connect(); the connection with the last of them.
    _end(reason) {
      this.active = false;
      this.io._leave();
      if (this.connected) this._close(reason);
    }
    _close(reason, details) {
      const { connected } = this;
      this.connected = false;
      this.id = undefined;
      if (connected) this._tell("disconnect", reason, details);
      else this._tell("connect_error", new Error(reason));
      for (const id of [...this._acks.keys()]) {
        const waits = this.sendBuffer.some((packet) => packet.id === id);
        if (!waits && this._acks.has(id)) this._fail(id, "socket has been disconnected");
      }
    }
  }
  Socket.prototype.open = Socket.prototype.connect;
  Socket.prototype.close = Socket.prototype.disconnect;

  const managers = new Map();

  // io(), io("/namespace"), io("https://host/namespace?query", options), io(options)
  const io = (address, options) => {
    if (isObject(address)) return io(undefined, address);
    const scheme = typeof location === "object" ? location.protocol : "https:";
    let url = address === undefined ? "/" : address;
    if (/^\/(?!\/)/.test(url)) url = `${location.origin}${url}`;
    else if (/^\/\//.test(url)) url = scheme + url;
    else if (!/^\w+:\/\//.test(url)) url = `${scheme}//${url}`;
    const [, origin, nsp, search] = /^([^?#/]+\/\/[^?#/]+)([^?#]*)([^#]*)/.exec(url.replace(/^ws/, "http"));
    const opts = Object.assign({}, options);
    if (search && !opts.query) {
      opts.query = {};
      new URLSearchParams(search).forEach((value, name) => {
        opts.query[name] = value;
      });
    }
    const key = `${origin} ${opts.path}`;
    const known = managers.get(key);
    // A namespace asked for twice is two sockets, and a connection has but one of each.
    const own = opts.forceNew || opts.multiplex === false || (known && known.nsps[nsp || "/"]);
    const manager = known && !own ? known : new Manager(origin, opts);
    if (!own) managers.set(key, manager);
    return manager.socket(nsp || "/", opts);
  };
  Object.assign(io, { io, connect: io, Manager, Socket, protocol: 5 });

  globalThis.io = io;
  if (typeof module === "object" && module.exports) module.exports = io;
})();
