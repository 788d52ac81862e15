// The page of a store: the list and its filters, the episode that is open, and marks by hand.
// What is chosen stands in the address after its #, so that a reload and the browser's "back" keep to it.

import { key as scrub, showEpisode } from "./episode.js";

const FACETS = { arm: "arm", task: "task", source: "acted by", outcome: "outcome", judged_by: "judged by", mark: "by hand", file: "file" };
const MARKS = [["success", "success", "y"], ["failure", "failure", "x"], [null, "no mark", "z"]];
const COLOURS = { success: "good", failure: "bad", unjudged: "quiet" };
const ASK_MS = 1000; // so often the server is asked for news
const NOTICE_MS = 6000;

const byId = (id) => document.getElementById(id);
const chosen = () => new URLSearchParams(location.hash.slice(1));
let version = null, listed = { rows: [], start: 0, meant: 0 }, opened = null, asked = 0, newest = null, acts = Promise.resolve(), noticed = 0;

async function ask(path, message) {
  const options = message && { method: "POST", body: JSON.stringify(message) };
  const answer = await fetch(path, options);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ?? answer.statusText);
  return told;
}

// Carries out what speaks to the server; the page says what went wrong, for long enough to be read.
async function trying(work) {
  try {
    await work();
    if (Date.now() - noticed > NOTICE_MS) notice("");
  } catch (error) {
    const lost = error instanceof TypeError;
    notice(lost ? "the server does not answer; trying again" : error.message);
    noticed = lost ? 0 : Date.now();
  }
}

function notice(line) {
  byId("notice").textContent = line;
  byId("notice").hidden = !line;
}

function choose(changes, replace = false) {
  const next = chosen();
  for (const [name, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === 0) next.delete(name);
    else next.set(name, value);
  }
  const address = `#${next}`;
  if (address === (location.hash || "#")) return;
  if (replace) { history.replaceState(null, "", address); trying(refresh); }
  else location.hash = address;
}

// Shows what the address says, as the server has it now; done when the newest answer is shown.
const refresh = () => (newest = shown(++asked));

async function shown(number) {
  const query = chosen();
  query.set("open", query.get("id") ?? "");
  const told = await ask(`list?${query}`);
  if (number !== asked) return newest; // another answer is on its way
  listed = told;
  version = told.version;
  showList();
  const id = chosen().get("id");
  if (id !== (opened?.id ?? null)) await open(id, number);
  else if (opened && told.open) { opened.row = told.open; showHead(); }
}

async function open(id, number) {
  const told = id === null ? null : await ask(`episode/${encodeURIComponent(id)}`);
  if (number !== asked) return;
  opened = told && { ...told, id };
  document.body.toggleAttribute("data-open", Boolean(opened));
  byId("episode").hidden = !opened;
  byId("none").hidden = Boolean(opened);
  byId(opened ? "episode" : "none").append(byId("keys"));
  byId("keys").open = !opened;
  byId("episode").scrollTop = 0;
  showEpisode(told);
  if (opened) showHead();
  current();
}

function showList() {
  const { store, total, meant, successful, unjudged, unread, marked, start, rows, last, lost_marks: lost } = listed;
  document.title = `robocat: ${store.split("/").pop()}`;
  byId("store").textContent = store;
  const judged = meant - unjudged;
  const share = (judged ? ` · ${Math.round((100 * successful) / judged)} % successful` : "") + (unjudged ? ` · ${unjudged} unjudged` : "");
  const reading = unread ? ` · ${unread} still to be read` : "";
  const damaged = lost.length ? ` · marks.jsonl is damaged in line ${lost.join(", ")}` : "";
  byId("counts").textContent = `${meant === total ? `${total} episodes` : `${meant} of ${total}`}${share} · ${marked} marked${reading}${damaged}`;
  filters();
  const place = byId("rows").scrollTop, focused = document.activeElement?.dataset?.id;
  byId("rows").replaceChildren(...rows.map(row));
  byId("rows").scrollTop = place;
  if (focused) [...byId("rows").querySelectorAll("a")].find(({ dataset }) => dataset.id === focused)?.focus();
  current();
  byId("range").textContent = rows.length ? `${start + 1}–${start + rows.length} of ${meant}` : "none is of that kind";
  byId("before").disabled = start === 0;
  byId("after").disabled = start + rows.length >= meant;
  byId("undo").disabled = !last;
  byId("undo").textContent = last ? `undo: ${last.said ?? "no mark"} (u)` : "undo (u)";
  byId("undo").title = last ? `${last.id} was marked ${last.said ?? "as not marked"}` : "";
  document.body.dataset.version = version;
}

function filters() {
  for (const [name, words] of Object.entries(FACETS)) {
    const wanted = chosen().get(name) ?? "";
    let select = byId(`filter ${name}`);
    if (!select) {
      const label = document.createElement("label");
      select = document.createElement("select");
      select.id = `filter ${name}`;
      select.onchange = () => { choose({ [name]: select.value, start: 0 }); select.blur(); };
      label.append(words, select);
      byId("filters").append(label);
    }
    const counts = listed.facets[name];
    if (wanted && !counts.some(([value]) => value === wanted)) counts.push([wanted, 0]);
    const options = [new Option("any", ""), ...counts.map(([value, count]) => new Option(`${value} (${count})`, value))];
    // A list that is being chosen from stays as it is.
    if (document.activeElement !== select || !select.options.length) select.replaceChildren(...options);
    select.value = wanted;
    select.classList.toggle("set", wanted !== "");
    // Nothing is said about damage where there is none.
    select.parentElement.hidden = name === "file" && !wanted && !counts.some(([value]) => value === "damaged");
  }
  if (document.activeElement !== byId("text")) byId("text").value = chosen().get("text") ?? "";
}

function write(parent, tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  parent.append(element);
  return element;
}

const title = ({ arm, task, variation }) => [arm, task, variation].filter(Boolean).join(" ");
const actor = ({ source, policy, generation }) => (policy ? `${policy}, generation ${generation ?? "none"}` : source);

function row(each) {
  const item = document.createElement("li"), link = document.createElement("a");
  const query = chosen();
  query.set("id", each.id);
  link.href = `#${query}`;
  link.dataset.id = each.id;
  link.title = each.id;
  if (each.damaged) write(link, "span", "blank", "");
  else link.append(thumbnail(each));
  write(link, "span", "name", title(each));
  if (each.damaged) write(link, "span", "right bad", "damaged");
  else write(link, "span", `right ${COLOURS[each.outcome]}`, each.outcome);
  const marked = each.mark !== "none";
  write(link, "span", marked ? "small" : "small wide", `seed ${each.seed} · ${each.length} steps · ${actor(each).split("/").pop()}`);
  if (marked) write(link, "span", "right small mark", `by hand: ${each.mark}`);
  item.append(link);
  return item;
}

// How it ended, as the first camera saw it.
function thumbnail({ id, length, camera }) {
  const image = document.createElement("img");
  image.loading = "lazy";
  image.alt = "";
  if (camera) image.src = `picture/${encodeURIComponent(id)}/images/${camera}/${length}`;
  return image;
}

function current() {
  for (const link of byId("rows").querySelectorAll("a")) {
    if (link.dataset.id === opened?.id) {
      link.setAttribute("aria-current", "true");
      link.scrollIntoView({ block: "nearest" });
    } else link.removeAttribute("aria-current");
  }
}

function showHead() {
  const { row, id } = opened;
  byId("title").textContent = title(row);
  const about = byId("about");
  about.replaceChildren();
  if (row.damaged) write(about, "span", "bad", "damaged");
  else {
    write(about, "span", COLOURS[row.outcome], row.outcome);
    if (row.outcome !== "unjudged") about.append(`, said the ${row.judged_by}`);
  }
  if (row.mark !== "none") {
    about.append(" · ");
    write(about, "span", COLOURS[row.mark], `${row.mark} by hand`);
  }
  for (const words of [`acted by ${actor(row)}`, id]) write(about, "small", "", words);
  byId("damage").textContent = row.damaged ?? "";
  byId("damage").hidden = !row.damaged;
  byId("marks").hidden = Boolean(row.damaged); // nobody can have seen how it went
  byId("marks").replaceChildren(...MARKS.map(([said, words, key]) => {
    const button = document.createElement("button");
    button.textContent = `${words} (${key})`;
    button.dataset.said = said ?? "none";
    button.classList.toggle("on", row.mark === (said ?? "none") && said !== null);
    button.onclick = () => mark(said);
    return button;
  }));
  document.body.dataset.mark = row.mark;
}

// One after another, each with what the one before led to in sight.
const inTurn = (work) => { acts = acts.then(() => trying(work)); };

function mark(said) {
  const { id, row } = opened;
  if (!row.damaged) inTurn(async () => { await ask("mark", { id, said }); await refresh(); });
}

const undo = () => inTurn(async () => {
  if (!listed.last) return;
  try { await ask("undo", { key: listed.last.key }); } finally { await refresh(); }
});

// Opens the episode before or after the open one, on another page of the list if need be.
async function step(way) {
  const now = chosen().get("id"), place = listed.rows.findIndex(({ id }) => id === now), next = place + way;
  if (place < 0 && listed.rows.length) return choose({ id: listed.rows[0].id });
  if (listed.rows[next]) return choose({ id: listed.rows[next].id });
  const start = way > 0 ? listed.start + listed.rows.length : listed.start - listed.page;
  if (start < 0 || start >= listed.meant) return;
  const query = chosen();
  query.set("start", start);
  const { rows } = await ask(`list?${query}`);
  const found = way > 0 ? rows[0] : rows.at(-1);
  if (found) choose({ start, id: found.id });
}

function keydown(event) {
  const typing = event.target.matches?.("input[type=search], select, summary");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else choose({ id: null });
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const word = MARKS.find(([, , key]) => key === event.key.toLowerCase());
  if (opened && scrub(event)) return;
  if (event.repeat && !event.key.startsWith("Arrow")) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") trying(() => step(event.key === "ArrowDown" ? 1 : -1));
  else if (word && opened) mark(word[0]);
  else if (event.key === "u") undo();
  else if (event.key === "/") byId("text").focus();
  else return;
  event.preventDefault();
}

setInterval(() => {
  if (document.hidden) return;
  trying(async () => { if ((await ask("news")).version !== version) await refresh(); });
}, ASK_MS);
addEventListener("hashchange", () => trying(refresh));
addEventListener("keydown", keydown);
byId("text").oninput = ({ target }) => choose({ text: target.value, start: 0 }, true);
byId("before").onclick = () => choose({ start: Math.max(0, listed.start - listed.page) });
byId("after").onclick = () => choose({ start: listed.start + listed.rows.length });
byId("undo").onclick = () => undo();
byId("back").onclick = (event) => { event.preventDefault(); choose({ id: null }); };
trying(refresh);
