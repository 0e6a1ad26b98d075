// The chat page in two tabs, with throng's own client and with the official one, on one shard and on three: both hear each
// other under the same ids, markup stays text, who comes and goes is told, and a server that is started anew is found again.
"use strict";
const assert = require("node:assert");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const path = require("node:path");
const { chromium } = require("playwright-core");

const OFFICIAL = path.join(path.dirname(require.resolve("socket.io-client/package.json")), "dist");
const { BROWSER, PICTURES, PROGRAM } = process.env;

async function start(...flags) {
  const child = spawn(PROGRAM, flags, { stdio: ["ignore", "ignore", "pipe"] });
  process.once("exit", () => child.kill());
  child.stderr.setEncoding("utf8");
  let said = "";
  // The last line of the start.
  while (!said.includes("\ntry:")) said += (await once(child.stderr, "data"))[0];
  child.stderr.resume();
  const host = /listening +http:\/\/([^/]+)\//.exec(said)[1];
  const stop = async () => {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    assert.strictEqual((await ended)[0], 0);
  };
  return { host, stop };
}

async function run(browser, name, shards, ...flags) {
  let server = await start("--bind", "127.0.0.1:0", "--shards", shards, ...flags);
  const { host } = server;
  const context = await browser.newContext({ viewport: { width: 900, height: 640 } });
  const errors = [];
  let mayFail = false;
  const open = async () => {
    const page = await context.newPage();
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("dialog", (dialog) => errors.push(dialog.message()));
    // While there is no server, the browser says so of every attempt.
    page.on("console", (message) => message.type() === "error" && !mayFail && errors.push(message.text()));
    await page.goto(`http://${host}/chat`);
    await connected(page);
    return page;
  };
  const connected = (page) => page.locator("#state", { hasText: "connected as" }).waitFor();
  const id = async (page) => (await page.locator("#state").textContent()).replace("connected as ", "");
  const notice = (page, text) => page.locator("#messages .notice", { hasText: text }).waitFor();
  const say = async (page, text) => {
    // By the keyboard: for a click the driver waits for frames, which a tab in the background has few of.
    await page.locator("#send:enabled").waitFor();
    await page.locator("#input").fill(text);
    await page.locator("#input").press("Enter");
  };
  // Both see it as what it is, from the same id.
  const heard = async (pages, text, from) => {
    for (const page of pages) {
      const item = page.locator("#messages li:not(.notice)").filter({ has: page.locator(`.who[title="${from}"]`) }).getByText(text);
      await item.first().waitFor();
      assert.strictEqual(await page.locator(`#messages .who[title="${from}"]`).last().textContent(), from === (await id(page)) ? "you" : from.slice(0, 6));
    }
  };

  const one = await open();
  const other = await open();
  const pages = [one, other];
  const [first, second] = [await id(one), await id(other)];
  assert.notStrictEqual(first, second);
  await notice(one, `${second.slice(0, 6)} joined`);
  await say(one, "is anybody there?");
  await heard(pages, "is anybody there?", first);
  await say(other, "häh? 😀");
  await heard(pages, "häh? 😀", second);

  // What somebody says is never more than text.
  const markup = ["<script>alert(1)</script>", '<img src=x onerror="alert(2)">', "</li><b>bold</b>"];
  for (const text of markup) {
    await say(other, text);
    await heard(pages, text, second);
  }
  for (const page of pages) assert.strictEqual(await page.locator("#messages :is(script, img, b)").count(), 0);
  await say(one, `${"a long line of words ".repeat(12)}${"unbroken".repeat(20)}`);
  await other.locator("#messages", { hasText: "unbrokenunbroken" }).waitFor();

  // Somebody leaves by the button, and comes back as somebody else.
  await other.locator("#toggle", { hasText: "Disconnect" }).click();
  await other.locator("#state", { hasText: "disconnected: io client disconnect" }).waitFor();
  await notice(one, `${second.slice(0, 6)} left`);
  await other.locator("#toggle", { hasText: "Connect" }).click();
  await connected(other);
  const third = await id(other);
  assert.notStrictEqual(third, second);
  await notice(one, `${third.slice(0, 6)} joined`);

  if (PICTURES && shards === "1") {
    for (const [picture, scheme, width] of [["light", "light", 900], ["dark", "dark", 900], ["narrow", "light", 390]]) {
      await one.setViewportSize({ width, height: 640 });
      await one.emulateMedia({ colorScheme: scheme });
      assert.ok(await one.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `it is wider than ${width} px`);
      await one.screenshot({ path: `${PICTURES}-${name}-${picture}.png` });
    }
  }

  // The server goes, and is started again where it was.
  mayFail = true;
  await server.stop();
  for (const page of pages) await page.locator("#state", { hasText: /^(disconnected|not connected): .*; trying again$/ }).waitFor();
  assert.ok(await one.locator("#send").isDisabled());
  server = await start("--bind", host, "--shards", shards, ...flags);
  for (const page of pages) await connected(page);
  await say(one, "back again");
  await heard(pages, "back again", await id(one));
  mayFail = false;
  // A tab that is closed is somebody who leaves.
  const last = await id(other);
  await other.close({ runBeforeUnload: false });
  await notice(one, `${last.slice(0, 6)} left`);

  assert.deepStrictEqual(errors, []);
  await context.close();
  await server.stop();
  console.log(`${name} client, ${shards} shards: chat in two tabs, markup, notices, button, restart`);
}

(async () => {
  // Without its sandbox it runs as any user; it sees no page but throng's.
  const browser = await chromium.launch({ executablePath: BROWSER, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
  // All at once: most of a run is waiting for a client to try again.
  const both = (shards) => [run(browser, "own", shards), run(browser, "official", shards, "--io-client-dir", OFFICIAL)];
  await Promise.all([...both("1"), ...both("3")]);
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
