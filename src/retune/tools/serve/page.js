"use strict";

const TOP_K = 5;
const KEPT = 50; // questions in the list
const EXAMPLE = {
  context:
    "The Kesen rises in the hills of Arva and flows north for 212 kilometres. It passes the mills of " +
    "Tolme, where the first bridge was built in 1764 by the engineer Ida Verhane, and ends in the bay of Sund.",
  question: "Who built the first bridge?",
};

const element = (id) => document.getElementById(id);
const [form, context, question, ask] = ["form", "context", "question", "ask"].map(element);
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

function showTrust(best) {
  const trust = element("trust");
  const share = best.confidence ?? best.score;
  const name = best.confidence === null ? "Share among the candidates (the model is not calibrated)" : "Confidence";
  const bar = made("meter", "", { min: 0, max: 1, value: share, ariaLabel: name });
  trust.replaceChildren(made("span", `${name}: ${percent(share)}`), bar);
}

function showCandidates(entry) {
  const rows = entry.answers.map((found, place) => {
    const row = made("button", "", { type: "button", className: "row" });
    row.append(made("span", found.answer || "(no answer)"), made("span", percent(found.score)));
    row.ariaPressed = String(place === 0);
    row.addEventListener("click", () => {
      for (const other of element("candidates").querySelectorAll("button")) other.ariaPressed = String(other === row);
      showPassage(entry.context, found);
    });
    const item = made("li", "");
    item.append(row);
    return item;
  });
  element("candidates").replaceChildren(...rows);
}

function show(entry) {
  const [best] = entry.answers;
  element("result").hidden = false;
  element("asked").textContent = entry.question;
  const answer = element("answer");
  answer.className = best.answer ? "" : "none";
  if (best.abstained) answer.textContent = "Withheld: the model is not sure enough.";
  else answer.textContent = best.answer || "The text has no answer.";
  showTrust(best);
  showPassage(entry.context, best);
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
      element("result").scrollIntoView();
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
  for (let kept = history_.length; kept >= 0; kept--) {
    try {
      return sessionStorage.setItem("asked", JSON.stringify(history_.slice(0, kept)));
    } catch {
      // Too large to last; try with fewer.
    }
  }
}

async function answers(asked, signal) {
  const parameters = { top_k: Math.min(TOP_K, model?.n_best ?? TOP_K) };
  const response = await fetch("answer", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ inputs: asked, parameters }),
    signal,
  });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error);
  return [body].flat();
}

async function submit() {
  if (running) return running.abort();
  const asked = { question: question.value, context: context.value };
  running = new AbortController();
  ask.textContent = "Stop";
  element("error").textContent = "";
  element("state").textContent = "Reading the text …";
  try {
    const entry = { ...asked, answers: await answers(asked, running.signal) };
    history_.unshift(entry);
    keep();
    show(entry);
    showHistory();
    element("state").textContent = "";
  } catch (error) {
    const why = error instanceof TypeError ? "The server cannot be reached. Is it still running?" : error.message;
    element("state").textContent = error.name === "AbortError" ? "Stopped." : "";
    element("error").textContent = error.name === "AbortError" ? "" : why;
  } finally {
    running = null;
    ask.textContent = "Ask";
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
context.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
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
  const response = await fetch("health");
  model = (await response.json()).model;
  const sentences = [`${model.name} answers with a span of your text.`];
  if (model.squad_v2) sentences.push("It may find that the text has no answer.");
  if (model.min_confidence !== null) sentences.push(`Answers below a confidence of ${percent(model.min_confidence)} are withheld.`);
  element("model").textContent = sentences.join(" ");
}

showHistory();
describeModel().catch(() => {});
