// Looks at the page of a daemon as a control room does: offline, without and with scripts. `node look.mjs URL [DIRECTORY]`
// with the pictures that are to be looked at by a person. Ends with 1 and says what is wrong.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [base, pictures] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const wrong = [];
const check = (what, holds) => {
  console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
  if (!holds) wrong.push(what);
};

const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: quiet });

const api = async (path) => (await fetch(base + path)).json();
const [facility] = (await api("/api/v1/board")).rows.filter((row) => row.level === "facility");
const [meter] = await api("/api/v1/meters");
const [cluster] = (await api("/api/v1/board")).rows.filter((row) => row.level === "cluster");
const pages = ["/", "/alarms", "/system", `/cluster/${cluster.id}`, `/facility/${facility.id}`, `/meter/${meter.id}`];

/** A new window on a page. Notes what it asks for and what goes wrong. */
async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 }, ...options });
  const page = await context.newPage();
  const seen = { elsewhere: [], errors: [], bytes: 0 };
  page.on("request", (request) => request.url().startsWith(base) || seen.elsewhere.push(request.url()));
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(error.message));
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  session.on("Network.loadingFinished", (event) => (seen.bytes += event.encodedDataLength));
  await page.goto(base + path);
  return { page, context, seen };
}

const number = (page) => page.evaluate(() => Number(document.body.dataset.number));

// ---- what comes first ------------------------------------------------------------------------------------------------

for (const path of pages) {
  const { page, context, seen } = await open(path);
  const paint = await page.evaluate(() => new Promise((resolve) => {
    const known = () => performance.getEntriesByName("first-contentful-paint")[0];
    if (known()) return resolve(known().startTime);
    new PerformanceObserver((_, observer) => known() && (observer.disconnect(), resolve(known().startTime)))
      .observe({ type: "paint", buffered: true });
  }));
  check(`${path} is there in ${Math.round(paint)} ms`, paint < 1000);
  const before = await number(page);
  const live = await page.waitForFunction((n) => Number(document.body.dataset.number) > n, before, { timeout: 2000 })
    .then(() => true, () => false);
  check(`${path} is live within two seconds`, live);
  if (await page.locator("[data-charts]").count()) await page.waitForSelector(".uplot", { timeout: 5000 }).catch(() => {});
  check(`${path} takes ${seen.bytes} bytes`, seen.bytes > 0 && seen.bytes < 80_000);
  check(`${path} asks nobody else: ${seen.elsewhere}`, seen.elsewhere.length === 0);
  check(`${path} has no error: ${seen.errors}`, seen.errors.length === 0);
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run());
  const serious = found.violations.filter((fault) => ["serious", "critical"].includes(fault.impact));
  check(`${path} has no serious fault: ${serious.map((fault) => `${fault.id} ${fault.nodes[0].html}`)}`, serious.length === 0);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  check(`${path} is no wider than the screen`, !wide);
  await context.close();
}

// ---- without scripts -------------------------------------------------------------------------------------------------

{
  const { page, context } = await open("/", { javaScriptEnabled: false });
  const rows = await page.locator("tr[data-key^='facility/']").count();
  const facilities = (await api("/api/v1/board")).rows.filter((row) => row.level === "facility");
  check(`without scripts ${rows} facilities are listed`, rows === facilities.length && rows > 0);
  await context.close();
}

// ---- the figures -----------------------------------------------------------------------------------------------------

{
  const { page, context } = await open("/");
  const first = await page.evaluate(() => Object.fromEntries(
    [...document.querySelectorAll("main [data-key] data[data-k='mass']")].map((cell) => [
      `${cell.closest("[data-key]").dataset.key} ${cell.dataset.f}`, `${cell.value} ${cell.textContent} ${cell.title}`])));
  await page.waitForFunction(() => Number(document.body.dataset.number) > 0);
  const before = await number(page);
  await page.waitForFunction((n) => Number(document.body.dataset.number) > n, before);
  // What the script writes is what the server wrote.
  await page.evaluate(async () => {
    const board = await (await fetch("/api/v1/board")).json();
    const { showRow } = await import("/assets/page.js");
    board.rows.forEach(showRow);
  });
  const shown = await page.evaluate(() => [...document.querySelectorAll("main [data-key] data[data-k='mass']")].map((cell) => ({
    key: cell.closest("[data-key]").dataset.key, field: cell.dataset.f, value: cell.value, text: cell.textContent, title: cell.title })));
  const windows = { day: "1d", month: "1mo", year: "1y" };
  const sums = { total: (entry) => entry.scope1_mg + entry.scope2_location_mg, market: (entry) => entry.scope1_mg + entry.scope2_market_mg };
  let [compared, differ] = [0, []];
  for (const [name, length] of Object.entries(windows)) {
    for (const level of ["facility", "cluster", "network"]) {
      const from = new Date(Date.now() - 368 * 86_400_000).toISOString();
      const entries = await api(`/api/v1/entries?level=${level}&window=${length}&from=${from}`);
      const latest = new Map(entries.map((entry) => [entry.entity, entry]));
      for (const cell of shown.filter(({ key, field }) => key.startsWith(`${level}/`) && field.startsWith(`${name}.`))) {
        const entry = latest.get(cell.key.slice(level.length + 1));
        const field = cell.field.slice(name.length + 1);
        const mg = !entry ? "" : field in sums ? sums[field](entry) : entry[field];
        compared += 1;
        if (String(mg) !== cell.value) differ.push(`${cell.key} ${cell.field}: ${cell.value} is not ${mg}`);
      }
    }
  }
  check(`${compared} figures are those of the entries: ${differ.slice(0, 3)}`, compared > 0 && differ.length === 0);
  const written = shown.map((cell) => [`${cell.key} ${cell.field}`, `${cell.value} ${cell.text} ${cell.title}`]);
  // The part of the day that is measured changes with the time.
  const steady = (text) => text?.replace(/coverage [\d.]+ %/, "coverage");
  const other = written.filter(([key, text]) => steady(first[key]) !== steady(text));
  check(`the script writes as the server does: ${other.slice(0, 2).map(([key, text]) => `${text} is not ${first[key]}`)}`, other.length === 0);
  await context.close();
}

// ---- strange names ---------------------------------------------------------------------------------------------------

{
  const { page, context } = await open("/system");
  const marks = await page.evaluate(() => document.querySelectorAll("main img, main script, main b").length);
  check("names full of HTML are text", marks === 0 && !(await page.evaluate(() => "pwned" in window)));
  await context.close();
}

// ---- a meter ---------------------------------------------------------------------------------------------------------

{
  const { page, context } = await open(`/meter/${meter.id}`);
  await page.waitForSelector("#shown .uplot", { timeout: 5000 });
  const table = page.locator("section[aria-label='Latest readings'] tbody tr");
  check(`the latest readings are listed: ${await table.count()}`, (await table.count()) > 0);
  const readings = await api(`/api/v1/readings?meter=${encodeURIComponent(meter.id)}`);
  const cells = await table.first().locator("td").allTextContents();
  check(`the latest shows ${cells[0]}`, readings.some((reading) => reading.value === cells[0]));
  const chart = page.locator("#shown .u-over");
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  await Promise.all([page.waitForURL(/at=/), chart.click({ position: { x: box.width - 3, y: box.height / 2 } })]);
  check("a point of the chart is explained", (await page.locator("pre").textContent()).includes(meter.id));
  await context.close();
}

// ---- two who look ----------------------------------------------------------------------------------------------------

{
  const one = await open("/alarms");
  const other = await open("/alarms");
  const button = one.page.locator("button[data-do='ack']:not([disabled])").first();
  await button.click();
  await one.page.locator("dialog input").first().fill("A. Lee");
  await one.page.locator("dialog button[value='yes']").click();
  const began = Date.now();
  const told = await other.page.waitForFunction(() => document.querySelector("[data-alarms]").textContent.includes("by A. Lee"), null, { timeout: 5000 })
    .then(() => true, () => false);
  check(`another page shows who has seen it after ${Date.now() - began} ms`, told && Date.now() - began < 2000);
  await one.context.close();
  await other.context.close();
}

// ---- pictures --------------------------------------------------------------------------------------------------------

if (pictures) {
  for (const [size, viewport] of [["wide", { width: 1280, height: 720 }], ["phone", { width: 390, height: 844 }]]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const path of pages) {
        const { page, context } = await open(path, { viewport, colorScheme });
        await page.waitForFunction((n) => Number(document.body.dataset.number) > n, await number(page));
        const name = path.split("/")[1] || "overview";
        await page.screenshot({ path: `${pictures}/${name}-${size}-${colorScheme}.png` });
        await page.addStyleTag({ content: "" }).catch(() => {});
        await context.close();
      }
    }
  }
}

await browser.close();
if (wrong.length > 0) {
  console.log(`${wrong.length} are wrong`);
  process.exit(1);
}
