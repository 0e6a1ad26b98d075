// The page in two tabs: both connect, the echo answers, the tabs hear each other, and nothing is logged as an error. And what the
// browser's own WebSocket says comes back, compressed where the server has it on.
"use strict";
const assert = require("node:assert");
const { chromium } = require("playwright-core");

(async () => {
  // Without its sandbox it runs as any user; it sees no page but throng's.
  const browser = await chromium.launch({ executablePath: process.env.BROWSER, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
  const context = await browser.newContext({ viewport: { width: 1000, height: 600 } });
  const errors = [];
  const tab = async () => {
    const page = await context.newPage();
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(`http://${process.env.THRONG}/`);
    for (const box of ["#echo", "#lobby"]) await page.locator(`${box} .state`, { hasText: "connected" }).waitFor();
    return page;
  };
  const say = async (page, box, line) => {
    await page.locator(`${box} input`).fill(line);
    await page.locator(`${box} button`).click();
  };
  const heard = (page, box, line) => page.locator(`${box} li`).getByText(line, { exact: true }).waitFor();

  const [one, other] = [await tab(), await tab()];
  await say(one, "#lobby", "is anybody there?");
  await heard(one, "#lobby", "you: is anybody there?");
  await heard(other, "#lobby", "is anybody there?");
  await say(other, "#lobby", "<b>yes</b> & häh 😀");
  await heard(one, "#lobby", "<b>yes</b> & häh 😀");
  await say(one, "#echo", "and back");
  await heard(one, "#echo", "and back");
  await one.locator(".trip", { hasText: "ms there and back" }).waitFor();
  assert.deepStrictEqual(await one.locator("#lobby li").allTextContents(), ["you: is anybody there?", "<b>yes</b> & häh 😀"]);
  assert.deepStrictEqual(await other.locator("#echo li").allTextContents(), []);
  // What the browser itself compresses, and what it makes of what throng has.
  const [extensions, echoed] = await one.evaluate(
    (url) =>
      new Promise((done, failed) => {
        const messages = ["a", "häh? 😀 ".repeat(5000), "x".repeat(300000)];
        const socket = new WebSocket(url);
        const echoed = [];
        socket.onopen = () => messages.forEach((message) => socket.send(message));
        socket.onmessage = ({ data }) => {
          if (echoed.push(data === messages[echoed.length]) === messages.length) done([socket.extensions, echoed]);
        };
        socket.onclose = failed;
      }),
    `ws://${process.env.THRONG}/ws`,
  );
  const agreed = process.env.THRONG_DEFLATE ? "permessage-deflate; server_no_context_takeover; client_no_context_takeover" : "";
  assert.deepStrictEqual([extensions, echoed], [agreed, [true, true, true]]);
  await one.bringToFront();
  await one.screenshot({ path: process.env.PICTURE });
  assert.deepStrictEqual(errors, []);
  await browser.close();
})();
