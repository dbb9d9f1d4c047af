// The page to play on: it shows what the API answers and decides nothing itself.

import { Api, Problem } from "./api.js";
import {
  $, all, answer, append, banner, counted, field, html, keepFocus, listOf, monthsBefore, numbers, put, show, text, timeText,
} from "./page.js";

const POLL_MS = 15000;
const SEARCH_PAUSE_MS = 300;
const MONTHS_SHOWN = 12;

const api = new Api({ language: html.lang, onWait, onAnswer: () => show("banner", false), onToken });
let me = null;
let openPlayer = null;
const nextPage = {};

// Errors

function onWait(problem, ms) {
  if (problem?.status === 429) banner(text("throttled", { seconds: counted("seconds", Math.ceil(ms / 1000)) }));
  else banner(text("away"));
}

/** Return the sentence of an error, after the sign-in form where the token has ended. */
function sentenceOf(error) {
  if (!(error instanceof Problem)) return text("unreachable");
  // A wrong password is a 401 too, but nobody is signed in then.
  if (error.status === 401 && (api.token || me)) {
    signedOut(text("signed_out"));
    return text("signed_out");
  }
  const fields = (error.body.errors || []).map((each) => each.detail);
  return fields.join(" ") || error.message || text("broken");
}

/** Say what keeps `poll` from its answer; it will ask again. */
function waiting(error) {
  const sentence = error instanceof Problem ? sentenceOf(error) : text("away");
  if (api.token) banner(sentence);
}

/** Run an action of a button or form: disabled meanwhile, and its error as a sentence in `root`. */
async function act(root, control, action) {
  const hadFocus = control !== null && root.contains(document.activeElement);
  answer(root, "", true);
  if (control) control.disabled = true;
  try {
    await action();
  } catch (error) {
    answer(root, sentenceOf(error), false);
  } finally {
    if (control) control.disabled = false;
    if (hadFocus) keepFocus(control, root);
  }
}

// Signing in

/** Another tab signed in or out. */
function onToken() {
  if (!api.token) return signedOut(text("signed_out"));
  me = null;
  $("#preview").close();
  return start();
}

function signedOut(sentence = "") {
  api.token = null;
  me = null;
  $("#preview").close();
  for (const id of ["game", "player"]) show(id, false);
  show("welcome", true);
  if (sentence) answer($("#welcome"), sentence, false);
}

async function signIn(username, password) {
  api.token = (await api.post("/api/auth/login/", { username, password })).token;
  await start();
}

$("#sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  act($("#welcome"), form.elements[2], async () => {
    await signIn(form.username.value, form.password.value);
    form.reset();
  });
});

$("#sign-up").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  act($("#welcome"), form.elements[3], async () => {
    const [username, password, code] = [form.username.value, form.password.value, form.referral_code.value];
    await api.post("/api/signup/", { username, password, ...(code && { referral_code: code }) });
    await signIn(username, password);
    form.reset();
  });
});

$("#play-demo")?.addEventListener("click", (event) => {
  const { demoUsername, demoPassword } = document.body.dataset;
  act($("#welcome"), event.target, () => signIn(demoUsername, demoPassword));
});

$("#sign-out").addEventListener("click", async () => {
  // The token is forgotten here in any case.
  await api.post("/api/auth/logout/").catch(() => {});
  signedOut();
  keepFocus(null, $("#welcome"));
});

// My standing

async function refresh() {
  const { body, changed } = await api.poll("/api/heists/me/");
  if (!changed && me) return false;
  me = body;
  const { tokens, as_attacker: attacker, as_victim: victim, shield_shop: shop } = me;
  put("name", me.player.name, $("#player"));
  put("points", numbers.format(me.monthly_points));
  put("tokens", numbers.format(tokens.balance));
  for (const element of all(".of-coins")) element.hidden = me.coins === null;
  put("coins", me.coins === null ? "" : numbers.format(me.coins));
  put("rob", attackerText(attacker));
  put("safe", me.enabled ? victimText(victim) : "");
  put("month", text("month", { time: me.month_ends_at }));
  put("unread", me.unread_count ? numbers.format(me.unread_count) : "");
  put("unread_word", me.unread_count ? text("unread") : "");
  $("#read-all").hidden = !me.unread_count;
  put("shield", shieldText(victim.shield, shop));
  $("#buy-shield").hidden = !shop || Boolean(victim.shield);
  $("#buy-shield").textContent = shop ? text("buy", { cost: counted("coins", shop.cost) }) : "";
  return true;
}

function attackerText({ code, retry_at: time, heists_left_today: left }) {
  if (!code) return text("can_rob", { left });
  return text(code, { time, required: counted("tokens", me.rules.token_cost), available: me.tokens.balance });
}

function victimText({ code, newcomer_until, protected_until, potential_points: points }) {
  if (code === "truce") return text("in_truce");
  if (newcomer_until) return text("newcomer", { time: newcomer_until });
  if (protected_until) return text("protected", { time: protected_until });
  return points && !code ? text("at_stake", { points: counted("points", points) }) : text("not_worth");
}

function shieldText(shield, shop) {
  if (shield) return text("shield_live", { time: shield.expires_at });
  if (!shop) return text("no_shop");
  return text("shield_none", { cost: counted("coins", shop.cost), days: counted("days", shop.days) });
}

// Lists

async function fill(name, path, template, row, { more = false } = {}) {
  const page = await api.get(more ? nextPage[name] : path);
  const list = listOf(name);
  const hadFocus = list.contains(document.activeElement);
  if (!more) list.replaceChildren();
  append(name, template, page.results, row);
  if (hadFocus) keepFocus(null, list.closest("section"));
  nextPage[name] = page.next;
  const button = $(`[data-more=${name}]`);
  if (button) button.hidden = !page.next;
  return page;
}

for (const button of all("[data-more]")) {
  button.addEventListener("click", () => {
    act(button.closest("section"), button, () => sections[button.closest("section").id]({ more: true }));
  });
}

// Robbing

function targetRow(item, row) {
  const values = { points: counted("points", row.monthly_points), stake: row.potential_points, time: row.retry_at };
  put("name", row.player.name, item);
  put("figures", targetText(row, values), item);
  $("button", item).addEventListener("click", () => act($("#rob"), null, () => preview(row.player.id)));
}

function targetText({ eligible, code, retry_at: time }, values) {
  if (eligible) return text("target", values);
  // What stops me says nothing of the other player, and stands above.
  if (code === me.as_attacker.code) return values.points;
  return text(time ? "target_until" : "target_no", values);
}

async function targets({ more } = {}) {
  const { search, eligible } = $("#filter").elements;
  const query = new URLSearchParams();
  if (search.value.trim().length >= 2) query.set("search", search.value.trim());
  if (eligible.checked) query.set("eligible", "true");
  // A page may be short or empty and still have a next one.
  let page = await fill("targets", `/api/heists/targets/?${query}`, "target", targetRow, { more });
  for (let pages = 1; page.next && !page.results.length && pages < 5; pages += 1) {
    page = await fill("targets", "", "target", targetRow, { more: true });
  }
}

let typing = 0;
$("#filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => act($("#rob"), null, targets), SEARCH_PAUSE_MS);
});
$("#filter").addEventListener("submit", (event) => event.preventDefault());

async function preview(player) {
  const dialog = $("#preview");
  const row = await api.get(`/api/heists/targets/${encodeURIComponent(player)}/`);
  openPlayer = row.player.id;
  put("victim", row.player.name, dialog);
  const [points, cost] = [counted("points", row.monthly_points), counted("tokens", me.rules.token_cost)];
  put("stake", text("stake", { stake: row.potential_points, points, cost }), dialog);
  field("reasons", dialog).replaceChildren(...row.reasons.map((reason) => {
    const item = document.createElement("li");
    item.textContent = reason.detail;
    return item;
  }));
  $("[data-do=rob]", dialog).hidden = !row.eligible || !me.enabled;
  answer(dialog, me.enabled ? "" : text("feature_disabled"), false);
  if (!dialog.open) dialog.showModal();
}

$("[data-do=rob]").addEventListener("click", (event) => {
  const dialog = $("#preview");
  act(dialog, event.target, async () => {
    const heist = await api.once("/api/heists/", { victim: openPlayer });
    event.target.hidden = true;
    field("reasons", dialog).replaceChildren();
    answer(dialog, heist.message, heist.status === "SUCCESS");
    await refresh();
    await targets();
  });
});
$("[data-do=close]").addEventListener("click", () => $("#preview").close());
// The button that opened the dialog is gone where the list was read again.
$("#preview").addEventListener("close", () => keepFocus(null, $("#rob")));

// Inbox

function notificationRow(item, row) {
  put("message", row.message, item);
  field("message", item).id = `notification-${row.id}`;
  const time = $("time", item);
  time.dateTime = row.created_at;
  time.textContent = timeText(row.created_at);
  item.classList.toggle("unread", !row.read);
  const button = $("button", item);
  button.setAttribute("aria-describedby", `notification-${row.id}`);
  button.hidden = row.read;
  button.addEventListener("click", () => act($("#inbox"), button, async () => {
    await api.post(`/api/heists/notifications/${row.id}/read/`);
    item.classList.remove("unread");
    button.hidden = true;
    await refresh();
  }));
}

const inbox = (options) => fill("notifications", "/api/heists/notifications/", "notification", notificationRow, options);

$("#read-all").addEventListener("click", (event) => act($("#inbox"), event.target, async () => {
  await api.post("/api/heists/notifications/read-all/");
  await Promise.all([inbox(), refresh()]);
}));

// Defence

$("#buy-shield").addEventListener("click", (event) => act($("#defence"), event.target, async () => {
  await api.once("/api/heists/shields/");
  await refresh();
}));

let truce = null;

function showTruce(answered) {
  truce = answered;
  $("#truce").hidden = !truce.enabled;
  $("#truce").textContent = text(truce.wanted ? "truce_end" : "truce_begin");
  put("truce", truceText(truce));
}

function truceText({ wanted, in_force: running, starts_at, ends_at }) {
  if (!wanted && !running) return text("truce_none");
  if (ends_at) return text("truce_ends", { time: ends_at });
  return running ? text("truce_running") : text("truce_wanted", { time: starts_at });
}

const defence = async () => showTruce(await api.get("/api/heists/truce/"));

$("#truce").addEventListener("click", (event) => act($("#defence"), event.target, async () => {
  showTruce(await api.put("/api/heists/truce/", { wanted: !truce.wanted }));
  await refresh();
}));

// Leaderboards

function offerMonths() {
  const select = $("#month");
  if (select.options.length) return;
  select.append(new Option(text("this_month"), ""));
  for (const [name, value] of monthsBefore(me.month_ends_at, MONTHS_SHOWN)) select.append(new Option(name, value));
}
$("#month").addEventListener("change", () => act($("#boards"), null, boards));

/** Fill in a place of a leaderboard; one's own stands out. */
function placeRow(item, { player }, figures) {
  put("name", player.name, item);
  put("figures", figures, item);
  if (player.id === me.player.id) item.setAttribute("aria-current", "true");
}

async function boards() {
  offerMonths();
  for (const name of ["points", "robbers"]) listOf(name).replaceChildren();
  const query = $("#month").value ? `?month=${$("#month").value}` : "";
  const [points, robbers] = await Promise.allSettled([
    fill("points", `/api/leaderboard/${query}`, "place", (item, row) => {
      placeRow(item, row, counted("points", row.monthly_points));
    }),
    fill("robbers", `/api/heists/leaderboard/${query}`, "place", (item, row) => {
      const values = { points: counted("points", row.points_stolen), heists: counted("heists", row.heists) };
      placeRow(item, row, text("stolen", values));
    }),
  ]);
  if (points.status === "rejected") throw points.reason;
  // Heists may have begun later than the points of the site.
  if (robbers.reason?.status === 400) append("robbers", "place", []);
  else if (robbers.status === "rejected") throw robbers.reason;
  if (query && !points.value.final) answer($("#boards"), text("provisional"), true);
}

// Emails

async function preferences() {
  const { email, types } = await api.get("/api/heists/preferences/");
  for (const box of $("#preferences").elements) {
    if (box.type === "checkbox") box.checked = box.name === "email" ? email : types[box.name];
  }
  show("preferences", true);
}

$("#preferences").addEventListener("change", (event) => act($("#emails"), null, async () => {
  const { name, checked } = event.target;
  await api.patch("/api/heists/preferences/", name === "email" ? { email: checked } : { types: { [name]: checked } });
  answer($("#emails"), text("saved"), true);
}));

// Sections

const sections = { rob: targets, inbox, defence, boards, emails: preferences };

async function showSection() {
  if (!me) return;
  const current = location.hash.slice(1) in sections ? location.hash.slice(1) : "rob";
  for (const id of Object.keys(sections)) show(id, id === current);
  for (const link of all("nav a")) {
    if (link.hash === `#${current}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  await act($(`#${current}`), null, sections[current]);
}
window.addEventListener("hashchange", showSection);

async function start() {
  if (!api.token) return signedOut();
  try {
    await refresh();
  } catch (error) {
    return waiting(error);
  }
  show("welcome", false);
  for (const id of ["game", "player"]) show(id, true);
  await showSection();
}

let isPolling = false;
let polledAt = 0;

/** Ask for news while the page is visible: once at a time, and not before POLL_MS have passed. */
async function poll() {
  if (document.hidden || !api.token || isPolling || Date.now() - polledAt < POLL_MS) return;
  isPolling = true;
  try {
    if (!me) await start();
    else if ((await refresh()) && !$("#inbox").hidden) await inbox();
  } catch (error) {
    waiting(error);
  } finally {
    isPolling = false;
    polledAt = Date.now();
  }
}
setInterval(poll, POLL_MS);
document.addEventListener("visibilitychange", poll);

start();
