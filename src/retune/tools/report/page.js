"use strict";
// The filters of the browser of questions. Without a script all questions are shown.
const plain = (text) => text.normalize("NFC").toLowerCase();
const textOf = (question) =>
  plain([...question.querySelectorAll("summary bdi, .passage, dd")].map((part) => part.textContent).join("\n"));
const forms = [];
for (const browser of document.querySelectorAll(".browser")) {
  const form = browser.querySelector("form");
  const questions = [...browser.querySelectorAll(".question")];
  const texts = questions.map(textOf);
  const matches = (question, place, { error, group, flip, text }) => {
    const type = question.dataset.error;
    if (error === "wrong" ? type === "" : error === "right" ? type !== "" : error && type !== error) {
      return false;
    }
    const [grouping, number] = group.split(" ");
    if (group && question.dataset.groups.split(" ")[grouping] !== number) {
      return false;
    }
    if (flip && question.dataset.flip !== flip) {
      return false;
    }
    return texts[place].includes(plain(text.trim()));
  };
  const filter = () => {
    const chosen = Object.fromEntries(new FormData(form));
    let count = 0;
    questions.forEach((question, place) => {
      const kept = matches(question, place, chosen);
      question.hidden = !kept;
      count += kept;
    });
    form.querySelector("output").textContent = `${count.toLocaleString("en")} shown`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
  forms.push(form);
}
// A link to a question shows and opens it, and what it is folded in.
const openTarget = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (!target) {
    return;
  }
  if (target.hidden) {
    forms.forEach((form) => form.reset());
    target.hidden = false;
  }
  for (let place = target; place; place = place.parentElement) {
    if (place.tagName === "DETAILS") {
      place.open = true;
    }
  }
  (target.querySelector("summary") || target).scrollIntoView();
};
addEventListener("hashchange", openTarget);
openTarget();
