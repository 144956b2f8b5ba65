// @ts-check
// Keeps the page up to date by /api/v1/live. The first paint is the server's; what is written here is written in the same way
// as `number.rs` and `parts.rs` do.

/** @typedef {{window: string, from: string, to: string, scope1_mg: number, scope2_location_mg: number, scope2_market_mg: number,
 *   eliminated_location_mg: number, eliminated_market_mg: number, coverage: number, revision: number, flags: string[]}} Figure */
/** @typedef {{from: string, to: string, scope1_kg_per_hour: number, scope2_location_kg_per_hour: number,
 *   scope2_market_kg_per_hour: number, coverage: number, complete: boolean}} Rate */
/** @typedef {{runs_out: string | null, expected_kg: number, planned_kg: number}} Outlook */
/** @typedef {{rule: string, state: string, value: number | null, limit: number | null, unit: string,
 *   outlook: Outlook | null}} Rule */
/** @typedef {{active: number, unseen: number, held: number, level: string | null, priority: string | null}} AlarmCount */
/** @typedef {{key: string, level: string, zone: string, rate: Rate | null, day: Figure | null, month: Figure | null, year: Figure | null,
 *   limit: Rule | null, budget: Rule | null, pathway: Rule | null, alarms: AlarmCount}} Row */
/** A row where it is shown, with the factors behind it. @typedef {Row & {factors: string}} Shown */
/** @typedef {{id: string, rule: string, entity: string, level: string, priority: string, condition: string, since: string,
 *   until: string | null, value: number, limit: number, unit: string, detail: string | null, response: string,
 *   acknowledged_by: string | null, held: string | null, provisional: boolean}} Alarm */
/** @typedef {{number: number, at: string, watermark: string, plan: string, state: Record<string, string | null>, rows: Row[],
 *   alarms: Alarm[] | null, courses: Record<string, (number | null)[]>}} Frame */

// ---- figures ---------------------------------------------------------------------------------------------------------

/** @param {number} value */
function digits(value) {
  const size = Math.abs(value);
  return value.toFixed(size === 0 ? 0 : size < 10 ? 3 : size < 100 ? 2 : 1);
}

/** @param {number} kg @param {string} per */
export function scaled(kg, per = "") {
  const size = Math.abs(kg);
  const [part, unit] = size >= 1e9 ? [1e9, "Mt"] : size >= 1e6 ? [1e6, "kt"] : size >= 1e3 ? [1e3, "t"] : [1, "kg"];
  return `${digits(kg / part)} ${unit}${per}`;
}

/** @param {number} part */
function percent(part) {
  return `${(part * 100).toFixed(1)} %`;
}

/** @param {number | null} value @param {string} unit */
function inUnit(value, unit) {
  if (value === null) return "-";
  if (unit === "kg") return scaled(value);
  if (unit === "kg/h") return scaled(value, "/h");
  return `${digits(value)} ${unit}`.trimEnd();
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();

/** `2026-11-26 14:05` in a zone. @param {string} text @param {string} zone */
export function local(text, zone) {
  let clock = clocks.get(zone);
  if (!clock) {
    clock = new Intl.DateTimeFormat("sv-SE", {
      timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
    });
    clocks.set(zone, clock);
  }
  return clock.format(new Date(text));
}

/** The same text with all times in it in a zone. @param {string} text @param {string} zone */
function localised(text, zone) {
  return text.split(" ").map((word) => (/^\d{4}-\d\d-\d\dT.*Z$/.test(word) ? local(word, zone) : word)).join(" ");
}

/** @param {Figure} figure @param {Shown} row */
function about(figure, { zone, factors, level }) {
  const settled = figure.revision === 0 ? "provisional: still open" : `closed, revision ${figure.revision}`;
  const quality = figure.flags.join("; ") || "as measured";
  const time = level === "network" ? `${figure.window} from ${figure.from.slice(0, 10)}, by each cluster's own clock`
    : `${local(figure.from, zone)} to ${local(figure.to, zone)} ${zone}`;
  return `${time}; coverage ${percent(figure.coverage)}; ` +
    `${quality}; ${settled}; factors now ${factors}`;
}

/** @param {Rate} rate @param {Shown} row */
function aboutRate(rate, { zone, factors }) {
  return `${local(rate.from, zone)} to ${local(rate.to, zone)} ${zone}; scope 1 ${scaled(rate.scope1_kg_per_hour, "/h")}, ` +
    `scope 2 ${scaled(rate.scope2_location_kg_per_hour, "/h")} location-based, ` +
    `${scaled(rate.scope2_market_kg_per_hour, "/h")} market-based; coverage ${percent(rate.coverage)}; ` +
    `provisional; factors now ${factors}`;
}

/** @param {Rule} rule */
function aboutRule(rule) {
  if (rule.value === null && rule.limit === null) return `${rule.rule}: not known yet`;
  const planned = rule.outlook ? ` in closed time, ${scaled(rule.outlook.planned_kg)} planned by now` : "";
  return `${rule.rule}: ${inUnit(rule.value, rule.unit)} of ${inUnit(rule.limit, rule.unit)}${planned}, ${rule.state}`;
}

/** @param {Rule | null} rule @param {string} zone */
function forecast(rule, zone) {
  if (!rule) return "";
  if (!rule.outlook) return `${rule.rule}: not known yet`;
  if (rule.state === "unknown") return `${rule.rule}: too little is measured to say`;
  if (rule.outlook.runs_out) return `${rule.rule}: used up ${local(rule.outlook.runs_out, zone).slice(0, 10)}`;
  const part = rule.limit === null ? 0 : rule.outlook.expected_kg / Math.max(rule.limit, 1e-9);
  return `${rule.rule}: ${part > 1 ? "over" : "holds"}, ${percent(part)} expected`;
}

/** @type {Record<string, string>} */
const SHAPES = { projected: "\u25c7", warning: "\u25b3", over: "\u25b2", critical: "\u25a0" };

// ---- cells -----------------------------------------------------------------------------------------------------------

/** @param {Element} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Writes what a cell shows of its row. @type {Record<string, (cell: HTMLElement, row: any, field: string) => void>} */
const KINDS = {
  mass(cell, row, field) {
    const [of, name] = field.split(".");
    const figure = /** @type {Figure | null} */ (row[of]);
    const data = /** @type {HTMLDataElement} */ (cell);
    if (!figure) {
      data.value = "";
      return write(cell, "-");
    }
    const sums = { total: figure.scope1_mg + figure.scope2_location_mg, market: figure.scope1_mg + figure.scope2_market_mg };
    const mg = /** @type {any} */ ({ ...figure, ...sums })[name];
    data.value = String(mg);
    cell.title = about(figure, row);
    write(cell, scaled(mg / 1e6));
  },
  rate(cell, row) {
    const rate = /** @type {Rate | null} */ (row.rate);
    if (!rate) return write(cell, "-");
    const total = rate.scope1_kg_per_hour + rate.scope2_location_kg_per_hour;
    /** @type {HTMLDataElement} */ (cell).value = String(total);
    cell.title = aboutRate(rate, row);
    write(cell, scaled(total, "/h") + (rate.complete ? "" : ` \u25b3 ${(rate.coverage * 100).toFixed(0)} %`));
  },
  split(cell, row) {
    const rate = /** @type {Rate | null} */ (row.rate);
    const total = rate ? rate.scope1_kg_per_hour + rate.scope2_location_kg_per_hour : 0;
    const part = rate ? Math.min(Math.max(rate.scope1_kg_per_hour / Math.max(total, 1e-9), 0), 1) : 0;
    cell.setAttribute("aria-label", `scope 1 is ${percent(part)} of the rate`);
    cell.querySelector(".part")?.setAttribute("width", (part * 100).toFixed(1));
  },
  bar(cell, row, field) {
    const rule = /** @type {Rule | null} */ (row[field]);
    const part = cell.querySelector(".part");
    if (!rule || !part) return;
    const of = rule.value === null || rule.limit === null ? 0 : rule.value / Math.max(rule.limit, 1e-9);
    part.setAttribute("width", Math.min(Math.max(of * 80, 0), 100).toFixed(1));
    part.classList.toggle("over", of > 1);
    const planned = rule.outlook && rule.limit ? Math.min(Math.max(rule.outlook.planned_kg / rule.limit, 0), 1.25) : 0;
    cell.querySelector(".plan")?.setAttribute("x", (planned * 80).toFixed(1));
    cell.title = aboutRule(rule);
    cell.querySelector("svg")?.setAttribute("aria-label", aboutRule(rule));
  },
  rule(cell, row, field) {
    if (row[field]) write(cell, aboutRule(row[field]));
  },
  forecast(cell, row, field) {
    write(cell, forecast(row[field], row.zone));
  },
  coverage(cell, row, field) {
    write(cell, row[field] ? percent(row[field].coverage) : "-");
  },
  alarms(cell, row) {
    const alarms = /** @type {AlarmCount} */ (row.alarms);
    cell.className = alarms.level ?? "calm";
    const many = alarms.active > 1 ? ` (${alarms.active})` : "";
    write(cell, alarms.level ? `${SHAPES[alarms.level]} ${alarms.level}${many}` : alarms.held ? `${alarms.held} not told` : "none");
  },
};

/** @param {Row} row */
export function showRow(row) {
  for (const place of document.querySelectorAll(`[data-key="${CSS.escape(row.key)}"]`)) {
    const shown = { ...row, factors: /** @type {HTMLElement} */ (place).dataset.factors ?? "" };
    for (const cell of place.querySelectorAll("[data-f]")) {
      const { f, k } = /** @type {HTMLElement} */ (cell).dataset;
      if (f && k) KINDS[k]?.(/** @type {HTMLElement} */ (cell), shown, f);
    }
  }
}

/** Gaps stay gaps. @param {(number | null)[]} points */
function path(points) {
  const most = Math.max(1, ...points.map((point) => point ?? 0));
  const step = 100 / Math.max(points.length - 1, 1);
  let text = "";
  let isOn = false;
  points.forEach((point, at) => {
    if (point !== null) {
      text += `${isOn ? "L" : "M"}${(at * step).toFixed(1)} ${(19 - (18 * Math.max(point, 0)) / most).toFixed(1)}`;
    }
    isOn = point !== null;
  });
  return text;
}

/** @param {string} key @param {(number | null)[]} points */
function showCourse(key, points) {
  for (const svg of document.querySelectorAll(`[data-course="${CSS.escape(key)}"] path`)) svg.setAttribute("d", path(points));
}

// ---- alarms ----------------------------------------------------------------------------------------------------------

/** @param {Alarm[]} alarms */
function showBanner(alarms) {
  const banner = document.getElementById("banner");
  const link = banner?.querySelector("a");
  if (!banner || !link) return;
  const unseen = alarms.filter((alarm) => alarm.condition === "active-unacknowledged");
  banner.classList.toggle("loud", unseen.length > 0);
  if (unseen.length === 0) return write(link, `No alarm waits to be seen; ${alarms.filter((alarm) => !alarm.until).length} on${ended(alarms)}`);
  const counts = ["high", "medium", "low"].map((name) => [unseen.filter((alarm) => alarm.priority === name).length, name]);
  const oldest = unseen.map((alarm) => alarm.since).sort()[0];
  const text = counts.filter(([count]) => count).map(([count, name]) => `${count} ${name}`).join(", ");
  const zone = document.getElementById("at")?.dataset.zone ?? "UTC";
  const first = `${unseen[0].entity} ${unseen[0].rule}`;
  write(link, `\u25b2 ${first}; not seen yet: ${text}, the oldest since ${local(oldest, zone)}${ended(alarms)}`);
}

/** @param {Alarm[]} alarms */
function ended(alarms) {
  const count = alarms.filter((alarm) => alarm.until).length;
  return count ? `; ${count} ended unseen` : "";
}

/** @param {string} tag @param {string} text */
function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/** @param {Alarm} alarm @param {string} zone */
function alarmRow(alarm, zone) {
  const row = document.createElement("tr");
  row.dataset.id = alarm.id;
  row.className = alarm.level;
  row.classList.toggle("unseen", alarm.condition === "active-unacknowledged");
  const value = alarm.detail ?? `${inUnit(alarm.value, alarm.unit)} against ${inUnit(alarm.limit, alarm.unit)}`;
  const name = element("th", `${alarm.entity} ${alarm.rule}`);
  name.setAttribute("scope", "row");
  const actions = document.createElement("td");
  for (const [what, text] of [["ack", "Acknowledge"], ["shelve", "Shelve"]]) {
    const button = /** @type {HTMLButtonElement} */ (element("button", text));
    button.type = "button";
    button.dataset.do = what;
    button.disabled = what === "ack" && alarm.acknowledged_by !== null;
    actions.append(button, " ");
  }
  const until = alarm.until ? ` to ${local(alarm.until, zone)}` : "";
  const state = alarm.held ? localised(alarm.held, zone) : alarm.condition + (alarm.acknowledged_by ? ` by ${alarm.acknowledged_by}` : "");
  row.append(
    element("td", `${SHAPES[alarm.level]} ${alarm.level}`), actions, name, element("td", value), element("td", alarm.priority),
    element("td", local(alarm.since, zone) + until + (alarm.provisional ? " (provisional)" : "")), element("td", state),
    element("td", alarm.response),
  );
  for (const at of [2, 3, 5, 6, 7]) row.cells[at].className = "t";
  return row;
}

/** @param {Alarm[]} alarms */
function showAlarms(alarms) {
  const table = /** @type {HTMLElement | null} */ (document.querySelector("[data-alarms]"));
  const body = table?.querySelector("tbody");
  if (!table || !body) return;
  const focused = document.activeElement?.closest("tr")?.dataset.id;
  const what = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.do;
  body.replaceChildren(...alarms.map((alarm) => alarmRow(alarm, table.dataset.zone ?? "UTC")));
  if (focused && what) {
    const row = [...body.rows].find((candidate) => candidate.dataset.id === focused);
    /** @type {HTMLElement | null | undefined} */ (row?.querySelector(`[data-do="${what}"]`))?.focus();
  }
  const none = document.getElementById("none");
  if (none) none.hidden = alarms.length > 0;
}

/** Asks who and why. Resolves to nothing when it is left. @param {string} title @param {string[]} names */
function ask(title, names) {
  const dialog = document.createElement("dialog");
  const form = document.createElement("form");
  form.method = "dialog";
  form.append(element("h2", title));
  /** @type {HTMLInputElement[]} */
  const inputs = names.map((name) => {
    const label = element("label", name);
    const input = document.createElement("input");
    input.type = name === "Token" ? "password" : "text";
    input.value = name === "By" ? (sessionStorage.getItem("by") ?? "") : name === "For" ? "1h" : "";
    label.append(input);
    form.append(label);
    return input;
  });
  const yes = /** @type {HTMLButtonElement} */ (element("button", title));
  yes.value = "yes";
  const no = /** @type {HTMLButtonElement} */ (element("button", "Leave it"));
  no.value = "no";
  form.append(yes, " ", no);
  dialog.append(form);
  document.body.append(dialog);
  dialog.setAttribute("aria-label", title);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? inputs.map((input) => input.value) : null);
    });
  });
}

/** @param {string} id @param {string} action @param {object} body @returns {Promise<string | null>} what went wrong */
async function post(id, action, body) {
  for (;;) {
    /** @type {Record<string, string>} */
    const headers = { "content-type": "application/json" };
    const token = sessionStorage.getItem("token");
    if (token) headers["x-emissiond-token"] = token;
    const url = `/api/v1/alarms/${encodeURIComponent(id)}/${action}`;
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    if (response.ok) return null;
    if (response.status !== 401) return response.text();
    const given = await ask("Show the token", ["Token"]);
    if (!given) return "not done: it needs the token of daemon.token_file";
    sessionStorage.setItem("token", given[0]);
  }
}

/** @param {MouseEvent} event */
async function act(event) {
  const button = /** @type {HTMLElement} */ (event.target).closest("button[data-do]");
  const id = button?.closest("tr")?.dataset.id;
  if (!(button instanceof HTMLButtonElement) || !id) return;
  const isAck = button.dataset.do === "ack";
  const given = await ask(isAck ? "Acknowledge" : "Shelve", isAck ? ["By", "Note"] : ["By", "Reason", "For"]);
  if (!given) return;
  sessionStorage.setItem("by", given[0]);
  const body = isAck ? { by: given[0], note: given[1] } : { by: given[0], reason: given[1], for: given[2] };
  const message = document.getElementById("message");
  if (message) message.textContent = "";
  const unreached = (/** @type {unknown} */ error) => `not done: the daemon cannot be reached (${error})`;
  const wrong = await post(id, isAck ? "ack" : "shelve", body).catch(unreached);
  if (message && wrong) write(message, `\u25b3 ${wrong}`);
}

// ---- the stream ------------------------------------------------------------------------------------------------------

/** @param {string} text */
function say(text) {
  const link = document.getElementById("link");
  if (link) write(link, text);
}

/** @param {Frame} frame */
function show(frame) {
  for (const name of ["at", "watermark"]) {
    const time = document.getElementById(name);
    if (!(time instanceof HTMLTimeElement)) continue;
    time.dateTime = /** @type {any} */ (frame)[name];
    write(time, local(time.dateTime, time.dataset.zone ?? "UTC"));
  }
  document.body.dataset.number = String(frame.number);
  for (const [name, trouble] of Object.entries(frame.state)) {
    const lamp = document.getElementById(`lamp-${name}`);
    if (!lamp) continue;
    lamp.classList.toggle("trouble", trouble !== null);
    write(lamp, `${lamp.dataset.name}: ${trouble ?? lamp.dataset.calm}`);
  }
  frame.rows.forEach(showRow);
  if (frame.alarms) {
    showBanner(frame.alarms);
    showAlarms(frame.alarms);
  }
  for (const [key, points] of Object.entries(frame.courses)) showCourse(key, points);
  if (document.body.dataset.plan !== frame.plan) say("\u25b3 The configuration has changed: load the page again");
}

/** When something was heard last. */
let heard = Date.now();

function follow() {
  const source = new EventSource("/api/v1/live");
  /** @param {MessageEvent<string>} event */
  const take = (event) => {
    heard = Date.now();
    say("");
    show(JSON.parse(event.data));
  };
  source.addEventListener("board", take);
  source.addEventListener("change", take);
  source.addEventListener("error", () => {
    say("\u25b2 No connection: the figures are old");
    // What is refused outright is not tried again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  });
}

/** Parts that change slowly come from the server as they are. */
async function refresh() {
  const parts = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-refresh]"));
  if (document.hidden || parts.length === 0) return;
  // What is explained stays explained, and is not asked for again.
  const here = new URL(location.href);
  here.searchParams.delete("at");
  const response = await fetch(here);
  if (!response.ok) return;
  const next = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of parts) {
    const fresh = next.querySelector(`[data-refresh="${part.dataset.refresh}"]`);
    // Whoever is in it is not disturbed.
    if (!fresh || fresh.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
    part.replaceChildren(...fresh.childNodes);
  }
}

document.addEventListener("click", act);
setInterval(() => refresh().catch(() => {}), 10_000);
// A frame comes every second; a connection may stand without bringing any.
setInterval(() => Date.now() - heard > 8_000 && say("\u25b3 Nothing new for some seconds: the figures are old"), 2_000);
for (const button of document.querySelectorAll("button[data-do]")) /** @type {HTMLElement} */ (button).hidden = false;
follow();
if (document.querySelector("[data-charts]")) import("./charts.js").then((charts) => charts.draw());
