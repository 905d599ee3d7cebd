"use strict";

const TOP_K = 5;
const KEPT = 50; // questions in the list
const STORED = 4_000_000; // characters of the list that last in the tab
const EXAMPLE = {
  context:
    "The Kesen rises in the hills of Arva and flows north for 212 kilometres. It passes the mills of " +
    "Tolme, where the first bridge was built in 1764 by the engineer Ida Verhane, and ends in the bay of Sund.",
  question: "Who built the first bridge?",
};

const element = (id) => document.getElementById(id);
const [form, context, question] = ["form", "context", "question"].map(element);
let model = null; // what /health says
let running = null; // the request in progress
let history_ = restored();

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function made(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

// The server counts characters, JavaScript units of UTF-16.
function parts(text, start, end) {
  const characters = Array.from(text);
  const cut = (low, high) => characters.slice(low, high).join("");
  return [cut(0, start), cut(start, end), cut(end)];
}

function showPassage(text, found) {
  const passage = element("passage");
  if (found.start === found.end) {
    passage.textContent = text;
    passage.scrollTop = 0;
    return;
  }
  const [before, answer, after] = parts(text, found.start, found.end);
  const mark = made("mark", answer);
  passage.replaceChildren(before, mark, after);
  passage.scrollTop = mark.offsetTop - passage.offsetTop - passage.clientHeight / 2;
}

function trustOf(best) {
  const name = best.confidence === null ? "Share among the candidates (the model is not calibrated)" : "Confidence";
  return [name, best.confidence ?? best.score];
}

function showTrust(best) {
  const [name, share] = trustOf(best);
  const bar = made("meter", "", { min: 0, max: 1, value: share });
  bar.setAttribute("aria-label", name);
  element("trust").replaceChildren(made("span", `${name}: ${percent(share)}`), bar);
}

function showCandidates(entry) {
  const rows = entry.answers.map((found, place) => {
    const row = made("button", "", { type: "button", className: "row" });
    row.append(made("span", found.answer || "(no answer)"), made("span", percent(found.score)));
    row.setAttribute("aria-pressed", place === 0);
    row.addEventListener("click", () => {
      for (const other of element("candidates").querySelectorAll("button")) other.setAttribute("aria-pressed", other === row);
      showPassage(entry.context, found);
    });
    const item = made("li", "");
    item.append(row);
    return item;
  });
  element("candidates").replaceChildren(...rows);
}

function textOf(best) {
  if (best.abstained) return "Withheld: the model is not sure enough.";
  return best.answer || "The text has no answer.";
}

function show(entry) {
  const [best] = entry.answers;
  element("result").hidden = false;
  element("asked").textContent = entry.question;
  element("answer").className = best.answer ? "" : "none";
  element("answer").textContent = textOf(best);
  showTrust(best);
  showPassage(entry.context, best);
  element("others").hidden = best.abstained;
  showCandidates(entry);
}

function showHistory() {
  element("past").hidden = history_.length === 0;
  const rows = history_.map((entry) => {
    const row = made("button", "", { type: "button", className: "row" });
    const [best] = entry.answers;
    const answer = best.abstained ? "(withheld)" : best.answer || "(no answer)";
    row.append(made("span", entry.question), made("span", percent(best.confidence ?? best.score)), made("small", answer));
    row.addEventListener("click", () => {
      context.value = entry.context;
      question.value = entry.question;
      show(entry);
      element("asked").focus();
    });
    const item = made("li", "");
    item.append(row);
    return item;
  });
  element("history").replaceChildren(...rows);
}

// The list lasts as long as the tab, and is sent nowhere.
function restored() {
  try {
    return JSON.parse(sessionStorage.getItem("asked")) ?? [];
  } catch {
    return [];
  }
}

function keep() {
  history_ = history_.slice(0, KEPT);
  const texts = [];
  let size = 0;
  for (const entry of history_) {
    const text = JSON.stringify(entry);
    size += text.length;
    if (size > STORED) break;
    texts.push(text);
  }
  try {
    sessionStorage.setItem("asked", `[${texts.join()}]`);
  } catch {
    // There is no storage, or less than that: the list lasts as long as the page.
  }
}

async function reached(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached. Is it still running?");
  }
}

async function answers(asked, signal) {
  const parameters = { top_k: Math.min(TOP_K, model?.n_best ?? TOP_K) };
  const response = await reached("answer", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ inputs: asked, parameters }),
    signal,
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error ?? `The server replies with the status ${response.status}.`);
  return [body].flat();
}

async function submit() {
  if (running) return;
  const asked = { question: question.value, context: context.value };
  running = new AbortController();
  element("stop").hidden = false;
  element("error").textContent = "";
  element("state").textContent = "Reading the text …";
  try {
    const entry = { ...asked, answers: await answers(asked, running.signal) };
    history_.unshift(entry);
    keep();
    show(entry);
    showHistory();
    const [best] = entry.answers;
    const [name, share] = trustOf(best);
    element("state").textContent = "";
    // For screen readers.
    element("spoken").textContent = `${best.answer ? "Answer: " : ""}${textOf(best)} ${name}: ${percent(share)}`;
  } catch (error) {
    const isStopped = error.name === "AbortError";
    element("state").textContent = isStopped ? "Stopped." : "";
    element("error").textContent = isStopped ? "" : error.message;
  } finally {
    running = null;
    element("stop").hidden = true;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
context.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
element("stop").addEventListener("click", () => running?.abort());
element("example").addEventListener("click", () => {
  context.value = EXAMPLE.context;
  question.value = EXAMPLE.question;
  question.focus();
});
element("forget").addEventListener("click", () => {
  history_ = [];
  keep();
  showHistory();
  question.focus();
});

async function describeModel() {
  const response = await reached("health");
  model = (await response.json()).model;
  const sentences = [`${model.name} answers with a span of your text.`];
  if (model.squad_v2) sentences.push("It may find that the text has no answer.");
  if (model.min_confidence !== null) sentences.push(`Answers below a confidence of ${percent(model.min_confidence)} are withheld.`);
  element("model").textContent = sentences.join(" ");
}

showHistory();
describeModel().catch(() => {});
