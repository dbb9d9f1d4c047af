// The page's elements and texts.

export const html = document.documentElement;
export const $ = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const field = (name, root = document) => $(`[data-field=${name}]`, root);
export const listOf = (name) => $(`[data-list=${name}]`);

const isShown = (element) => element.getClientRects().length > 0;

// Texts

const plurals = new Intl.PluralRules(html.lang);
const TIME = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
const times = new Intl.DateTimeFormat(html.lang, TIME);
const timesOfOtherYears = new Intl.DateTimeFormat(html.lang, { ...TIME, year: "numeric" });

export const numbers = new Intl.NumberFormat(html.lang);
const months = new Intl.DateTimeFormat(html.lang, { month: "long", year: "numeric", timeZone: "UTC" });

/** Return a moment in the reader's time zone, with its year where that is not the current one. */
export function timeText(value) {
  const moment = new Date(value);
  return (moment.getFullYear() === new Date().getFullYear() ? times : timesOfOtherYears).format(moment);
}

/** Return name and `YYYY-MM` of the months before the one that ends at this moment, which is midnight on the site. */
export function monthsBefore(end, count) {
  // In UTC that is a day of the first or the last half of a month.
  const after = new Date(end);
  const next = after.getUTCMonth() + (after.getUTCDate() > 15 ? 1 : 0);
  return Array.from({ length: count }, (_, back) => {
    const first = new Date(Date.UTC(after.getUTCFullYear(), next - 2 - back, 1));
    return [months.format(first), first.toISOString().slice(0, 7)];
  });
}

/** Return a sentence of the template with its values: numbers grouped, `time` as a moment. */
export function text(name, values = {}) {
  const sentence = $("#texts").content.querySelector(`[data-text=${name}]`).textContent;
  return sentence.replace(/\{(\w+)\}/g, (whole, key) => {
    const value = values[key];
    if (key === "time") return timeText(value);
    return typeof value === "number" ? numbers.format(value) : value ?? "";
  });
}

/** Return a number with its noun: "1 point", "2 points". */
export function counted(noun, number) {
  return text(`${noun}_${plurals.select(number) === "one" ? "one" : "other"}`, { number });
}

// What is shown

export function put(name, value, root = document) {
  for (const element of all(`[data-field=${name}]`, root)) {
    element.textContent = value;
    element.hidden = value === "";
  }
}

export function show(id, visible) {
  $(`#${id}`).hidden = !visible;
}

export function banner(sentence) {
  $("#banner").textContent = sentence;
  show("banner", true);
}

export function answer(root, sentence, good) {
  const element = $(".answer", root);
  element.textContent = sentence;
  element.className = `answer ${good ? "good" : "bad"}`;
  element.hidden = !sentence;
}

/** Add the rows of a page to a list, each a copy of the template of this id. */
export function append(name, template, rows, fill) {
  const list = listOf(name);
  for (const row of rows) {
    const item = $(`#${template}`).content.cloneNode(true).firstElementChild;
    fill(item, row);
    list.append(item);
  }
  list.parentElement.querySelector(`[data-list=${name}] ~ .empty`).hidden = list.children.length > 0;
}

/** Where nothing that is shown has the focus, give it to the button, to the next one in `root`, or to the heading of what is shown. */
export function keepFocus(button, root) {
  const current = document.activeElement;
  if (current !== document.body && current !== button && isShown(current)) return null;
  const buttons = all("button", root);
  const target = buttons.slice(Math.max(buttons.indexOf(button), 0)).find(isShown);
  if (button && target) return target.focus();
  const heading = all("h2", root).find(isShown) ?? all("h2").find(isShown);
  heading.tabIndex = -1;
  return heading.focus();
}
