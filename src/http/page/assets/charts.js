// @ts-check
// Draws the course of an entity, its budget and its pathway, from what /api/v1 says.

import { local, scaled } from "./page.js";

/** @typedef {{start: string, coverage: number, scope1_mg: number, scope2_location_mg: number, scope2_market_mg: number,
 *   by_category: Record<string, number>}} Entry */
/** @typedef {{rule: string, kind: string, entity: string, limit: number | null, unit: string, counts: string[],
 *   planned: {at: string, kg: number}[],
 *   outlook: {used_kg: number, expected_kg: number, runs_out: string | null, runs_out_range: (string | null)[]} | null}} Rule */
/** @typedef {{time: string, value: string, unit: string, state: string, used: string | null, from: string | null,
 *   to: string | null, timing: string | null, step: string | null}} Reading */
/** @typedef {[number[], ...(number | null)[][]]} Data */
/** @typedef {{label: string, stroke: string, fill?: string, dash?: number[], width?: number, spanGaps?: boolean, points?: object, scale?: string, text?: (value: number) => string,
 *   paths?: any}} Line */
/** How values are written, and from where the axis goes.
 *  @typedef {{text: (value: number) => string, fromZero: boolean, onClick?: (index: number) => void}} Look */

/** @type {any} */
const uPlot = /** @type {any} */ (window).uPlot;

const HOUR = 3_600_000;
/** @type {Record<string, {window: string, reach: number}>} */
const RANGES = {
  day: { window: "15m", reach: 24 * HOUR }, week: { window: "1h", reach: 7 * 24 * HOUR },
  month: { window: "1d", reach: 31 * 24 * HOUR }, year: { window: "1mo", reach: 365 * 24 * HOUR },
};

/** @type {Record<string, string>} */
const NAMES = {
  "15m": "CO2e by quarter-hour, an hour of it", "1h": "CO2e an hour", "1d": "CO2e a day", "1mo": "CO2e a month",
};

/** Seconds of a window, at the most. @type {Record<string, number>} */
const STEPS = { "15m": 900, "1h": 3_600, "1d": 90_000, "1mo": 31.1 * 86_400 };

/** @param {string} name */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** @param {string} query @returns {Promise<any>} */
async function get(query) {
  const response = await fetch(`/api/v1/${query}`);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

/** @type {Look} */
const RATES = { text: (kg) => scaled(kg, "/h"), fromZero: true };
/** @type {Look} */
const MASSES = { text: (kg) => scaled(kg), fromZero: true };

/** @param {HTMLElement} place @param {string} title @param {string} zone @param {Data} data @param {Line[]} lines
 *  @param {[number, number]} [range] of time, in seconds @param {Look} [look] */
function plot(place, title, zone, data, lines, range, look = MASSES) {
  const grid = { stroke: colour("--line"), width: 1 };
  const ink = colour("--ink");
  place.replaceChildren();
  const value = (/** @type {any} */ _, /** @type {number | null} */ of) => (of === null ? "-" : look.text(of));
  const axis = { stroke: ink, grid, ticks: grid };
  const values = (/** @type {any} */ _, /** @type {number[]} */ marks) => marks.map(look.text);
  const times = (/** @type {any} */ _u, /** @type {number[]} */ marks, /** @type {any} */ _a, /** @type {any} */ _s, /** @type {number} */ step) =>
    marks.map((at) => local(new Date(at * 1000).toISOString(), zone)).map((text) => (step >= 86_400 ? text.slice(0, 10) : text.slice(11)));
  const width = Math.max(280, place.parentElement?.clientWidth ?? 600);
  const reach = (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) =>
    look.fromZero ? [Math.min(0, low), high * 1.05 || 1] : uPlot.rangeNum(low, high, 0.1, true);
  const plotted = new uPlot({
    title, width, height: 260, padding: [null, 40, null, null], cursor: { drag: { x: false, y: false } },
    tzDate: (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    scales: { ...(range ? { x: { range } } : {}), y: { range: reach }, part: { range: [0, 1.05] } },
    axes: [{ ...axis, values: times, space: 80 }, { ...axis, size: 90, values }],
    series: [{ label: `Time (${zone})`, value: (/** @type {any} */ _, /** @type {number | null} */ at) => (at === null ? "-" : local(new Date(at * 1000).toISOString(), zone)) }, ...lines.map(({ text, ...line }) => ({ value: text ? (/** @type {any} */ _, /** @type {number | null} */ of) => (of === null ? "-" : text(of)) : value, width: 1.5, ...line }))],
  }, data, place);
  plotted.over.addEventListener("click", () => {
    const at = plotted.cursor.idx;
    if (look.onClick && at !== null && at !== undefined) look.onClick(at);
  });
}

/** What the lines of the course show, by what a rule counts. @type {Record<string, string>} */
const COUNTED = {
  "scope1_mg": "scope 1", "scope1_mg,scope2_location_mg": "scope 1 and 2 (location)", "scope1_mg,scope2_market_mg": "scope 1 and 2 (market)",
};

/** The limits of what the course shows. @param {HTMLElement} section @returns {Promise<Rule[]>} */
async function limits({ dataset: { level, entity } }) {
  /** @type {Rule[]} */
  const rules = await get("rules");
  const isShown = (/** @type {Rule} */ rule) => rule.kind === "limit" && rule.unit === "kg/h" && rule.limit !== null && rule.counts.join() in COUNTED;
  return rules.filter((rule) => rule.entity === `${level}/${entity}` && isShown(rule));
}

/** @param {HTMLElement} section @param {string} range */
async function trend(section, range) {
  const { level = "", entity = "", zone = "UTC" } = section.dataset;
  const place = /** @type {HTMLElement | null} */ (section.querySelector("#trend"));
  if (!place) return;
  const { window: length, reach } = RANGES[range];
  const from = new Date(Math.floor((Date.now() - reach) / 900_000) * 900_000).toISOString();
  /** @type {Entry[]} */
  const entries = await get(`entries?level=${level}&entity=${encodeURIComponent(entity)}&window=${length}&from=${from}`);
  const step = STEPS[length];
  /** @type {Data} */
  const data = [[], [], [], [], []];
  const push = (/** @type {number} */ time, /** @type {(number | null)[]} */ ...values) =>
    [time, ...values].forEach((value, at) => data[at].push(/** @type {number} */ (value)));
  // A window that goes on would look like a fall.
  const over = entries.filter((entry) => Date.parse(entry.start) / 1000 + step <= Date.now() / 1000);
  const per = length === "15m" ? 4 : 1;
  for (const entry of over) {
    const time = Date.parse(entry.start) / 1000;
    const before = data[0][data[0].length - 1];
    // Where nothing is booked the line ends.
    if (before !== undefined && time - before > step * 1.5) push(before + step, null, null, null, null);
    const [scope1, location, market] = [entry.scope1_mg, entry.scope2_location_mg, entry.scope2_market_mg].map((mg) => (mg / 1e6) * per);
    push(time, scope1 + location, scope1, scope1 + market, entry.coverage);
  }
  const [part, rest, ink] = [colour("--part"), colour("--rest"), colour("--ink")];
  // What is limited an hour says nothing about a day.
  const limited = STEPS[length] <= 3_600 ? await limits(section) : [];
  for (const rule of limited) data.push(data[0].map(() => rule.limit));
  plot(place, NAMES[length], zone, data, [
    { label: "with scope 2 (location)", stroke: part, fill: rest },
    { label: "scope 1", stroke: ink, fill: part },
    { label: "with scope 2 (market)", stroke: ink, dash: [6, 4] },
    { label: "measured (0 to 100 %)", stroke: colour("--soft"), dash: [1, 4], scale: "part", text: (of) => `${(of * 100).toFixed(0)} %` },
    ...limited.map((rule) => ({ label: `limit of ${COUNTED[rule.counts.join()]}: ${rule.rule}`, stroke: colour("--over"), dash: [2, 3], spanGaps: true })),
  ], [Date.parse(from) / 1000, Date.now() / 1000], STEPS[length] <= 3_600 ? RATES : MASSES);
}

/** What a rule counts of an entry, in kilograms. @param {Rule} rule @param {Entry} entry */
function counted(rule, entry) {
  const of = (/** @type {string} */ name) =>
    name.startsWith("by_category.") ? (entry.by_category[name.slice(12)] ?? 0) : /** @type {any} */ (entry)[name];
  return rule.counts.reduce((sum, name) => sum + of(name), 0) / 1e6;
}

/** The points of several lines by time, with nothing in between. @param {[number, number][][]} lines @returns {Data} */
function joined(lines) {
  const times = [...new Set(lines.flat().map(([time]) => time))].sort((a, b) => a - b);
  const columns = lines.map((line) => {
    const known = new Map(line);
    return times.map((time) => known.get(time) ?? null);
  });
  return [times, ...columns];
}

/** @param {HTMLElement} section @param {Rule[]} rules */
async function budget(section, rules) {
  const { level = "", entity = "", zone = "UTC" } = section.dataset;
  const place = /** @type {HTMLElement | null} */ (section.querySelector("#budget"));
  const rule = rules.find((candidate) => candidate.kind === "budget" && candidate.planned.length > 0 && candidate.outlook);
  if (!place || !rule?.outlook) return;
  const seconds = (/** @type {string} */ text) => Date.parse(text) / 1000;
  const [first, last] = [rule.planned[0], rule.planned[rule.planned.length - 1]];
  /** @type {Rule["outlook"]} */
  const outlook = rule.outlook;
  const now = Date.now() / 1000;
  const plan = rule.planned.map(({ at, kg }) => /** @type {[number, number]} */ ([seconds(at), kg]));
  /** @type {Entry[]} */
  const days = await get(`entries?level=${level}&entity=${encodeURIComponent(entity)}&window=1d&from=${first.at}`);
  let sum = 0;
  const starts = days.map((day) => seconds(day.start));
  const actual = days.map((day, at) => {
    sum += counted(rule, day);
    return /** @type {[number, number]} */ ([starts[at + 1] ?? now, sum]);
  });
  /** @type {[number, number][]} */
  const ahead = [[now, outlook.used_kg], [seconds(last.at), outlook.expected_kg]];
  // Where it runs out at a quicker and a slower pace, drawn to the budget.
  const fan = outlook.runs_out_range.map((at) => /** @type {[number, number][]} */ (
    at ? [[now, outlook.used_kg], [seconds(at), rule.limit ?? 0]] : [[now, outlook.used_kg]]));
  const [ink, soft] = [colour("--ink"), colour("--soft")];
  plot(place, `${rule.rule}: used of ${scaled(rule.limit ?? 0)}`, zone, joined([plan, actual, ahead, ...fan]), [
    { label: "plan", stroke: soft, dash: [4, 4], points: { show: false } }, { label: "used", stroke: ink, width: 2.5 },
    { label: "forecast", stroke: ink, dash: [8, 4] }, { label: "at the quicker pace", stroke: soft, dash: [2, 4] },
    { label: "at the slower pace", stroke: soft, dash: [2, 4] },
  ].map((line) => ({ ...line, spanGaps: true })));
}

/** @param {HTMLElement} section @param {Rule[]} rules */
async function pathway(section, rules) {
  const { level = "", entity = "", zone = "UTC" } = section.dataset;
  const place = /** @type {HTMLElement | null} */ (section.querySelector("#pathway"));
  const rule = rules.find((candidate) => candidate.kind === "pathway" && candidate.planned.length > 0);
  if (!place || !rule) return;
  const plan = rule.planned.map(({ at, kg }) => /** @type {[number, number]} */ ([Date.parse(at) / 1000, kg]));
  /** @type {Entry[]} */
  const years = await get(`entries?level=${level}&entity=${encodeURIComponent(entity)}&window=1y`);
  const actual = years.map((year) => /** @type {[number, number]} */ (
    [Date.parse(year.start) / 1000, counted(rule, year)]));
  plot(place, `${rule.rule}: the way to the target`, zone, joined([plan, actual]), [
    { label: "planned", stroke: colour("--soft"), dash: [4, 4], points: { show: false } }, { label: "emitted", stroke: colour("--ink"), width: 3 },
  ].map((line) => ({ ...line, spanGaps: true })));
}

/** More are not seen. */
const POINTS = 600;

/** What a meter showed, with marks where it is not as usual, and what was used. @param {HTMLElement} section
 *  @param {number} hours */
async function readings(section, hours) {
  const { entity = "", zone = "UTC", kind = "" } = section.dataset;
  const [shown, used] = ["#shown", "#used"].map((id) => /** @type {HTMLElement | null} */ (section.querySelector(id)));
  if (!shown || !used) return;
  const [from, to] = [Date.now() - hours * HOUR, Date.now()];
  /** @type {Reading[]} */
  const all = await get(`readings?meter=${encodeURIComponent(entity)}&from=${new Date(from).toISOString()}&points=${POINTS}`);
  const seconds = (/** @type {string} */ text) => Date.parse(text) / 1000;
  const times = all.map((reading) => seconds(reading.time));
  const only = (/** @type {(reading: Reading) => boolean} */ is) => all.map((reading) => (is(reading) ? Number(reading.value) : null));
  const isAside = (/** @type {Reading} */ reading) => reading.state === "quarantined" || reading.state === "rejected";
  const [ink, part, odd] = [colour("--ink"), colour("--part"), colour("--warning")];
  const unit = all[0]?.unit ?? "";
  const text = (/** @type {number} */ value) => `${+value.toPrecision(9)}`;
  /** @type {[number, number]} */
  const reach = [from / 1000, to / 1000];
  const marks = (/** @type {string} */ stroke) => ({ stroke, width: 0, points: { show: true, size: 9, stroke, width: 2 } });
  plot(shown, `What it shows, ${unit}`, zone, [
    times, only((reading) => !isAside(reading)), only(isAside), only((reading) => reading.step !== null),
  ], [
    { label: kind, stroke: ink, spanGaps: true }, { label: "set aside", ...marks(odd) },
    { label: "begins anew, or after a gap", ...marks(part) },
  ], reach, { text, fromZero: false, onClick: (at) => explain(all[at]) });
  const booked = all.filter((reading) => reading.used !== null && reading.from && reading.to && reading.from < reading.to);
  used.hidden = booked.length === 0;
  if (used.hidden) return;
  const perHour = booked.map(({ used: amount, from: start, to: end }) =>
    (Number(amount) * 3600) / (seconds(/** @type {string} */ (end)) - seconds(/** @type {string} */ (start))));
  plot(used, `Used, ${unit} an hour`, zone, [booked.map((reading) => seconds(/** @type {string} */ (reading.to))), perHour], [
    { label: "used an hour", stroke: ink, paths: uPlot.paths.stepped({ align: -1 }) },
  ], reach, { text, fromZero: true, onClick: (at) => explain(booked[at]) });
}

/** Explains the quarter-hour that a reading is booked in: what it is booked for ends with it.
 *  @param {Reading} reading */
function explain(reading) {
  const input = /** @type {HTMLInputElement | null} */ (document.getElementById("at-input"));
  if (!input) return;
  // As an instant: an hour may be there twice.
  input.value = new Date(reading.to ? Date.parse(reading.to) - 1 : Date.parse(reading.time)).toISOString();
  input.form?.requestSubmit();
}

/** Lines lead over times at which only others have points. @param {HTMLElement} section */
async function drawSection(section) {
  section.hidden = false;
  const { level = "", entity = "" } = section.dataset;
  const pressed = /** @type {HTMLElement | null} */ (section.querySelector("[data-range][aria-pressed='true']"));
  await trend(section, pressed?.dataset.range ?? "day");
  const hours = /** @type {HTMLElement | null} */ (section.querySelector("[data-hours][aria-pressed='true']"));
  if (hours) await readings(section, Number(hours.dataset.hours));
  /** @type {Rule[]} */
  const rules = await get("rules");
  const mine = rules.filter((rule) => rule.entity === `${level}/${entity}`);
  await budget(section, mine);
  await pathway(section, mine);
}

/** What is drawn goes on. */
const AGAIN = 60_000;

/** Draws all charts of the page, and again when another time is chosen. */
export function draw() {
  for (const section of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-charts]"))) {
    const wrong = (/** @type {Error} */ error) => {
      const place = section.querySelector("#trend");
      if (place) place.textContent = `The charts cannot be drawn: ${error.message}`;
    };
    drawSection(section).catch(wrong);
    setInterval(() => document.hidden || drawSection(section).catch(wrong), AGAIN);
    section.addEventListener("click", (event) => {
      const button = /** @type {HTMLElement} */ (event.target).closest("button[data-range], button[data-hours]");
      if (!(button instanceof HTMLButtonElement)) return;
      for (const other of button.parentElement?.querySelectorAll("button") ?? []) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      const { range, hours } = button.dataset;
      (range ? trend(section, range) : readings(section, Number(hours))).catch(wrong);
    });
  }
}
