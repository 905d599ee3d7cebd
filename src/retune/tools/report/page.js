"use strict";
// The filters of the browser of questions. Without a script all questions are shown.
for (const browser of document.querySelectorAll(".browser")) {
  const form = browser.querySelector("form");
  const questions = [...browser.querySelectorAll(".question")];
  const texts = questions.map((question) => question.textContent.toLowerCase());
  const matches = (question, place, { error, group, flip, text }) => {
    const made = question.dataset.error;
    if (error === "wrong" ? made === "" : error === "right" ? made !== "" : error && made !== error) {
      return false;
    }
    const [way, number] = group.split(" ");
    if (group && question.dataset.groups.split(" ")[way] !== number) {
      return false;
    }
    if (flip && question.dataset.flip !== flip) {
      return false;
    }
    return texts[place].includes(text.trim().toLowerCase());
  };
  const filter = () => {
    const chosen = Object.fromEntries(new FormData(form));
    let count = 0;
    questions.forEach((question, place) => {
      const kept = matches(question, place, chosen);
      question.hidden = !kept;
      count += kept;
    });
    form.querySelector("output").textContent = `${count.toLocaleString("en")} questions`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
}
// A link to a question opens it, and what it is folded in.
const openTarget = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let place = target; place; place = place.parentElement) {
    if (place.tagName === "DETAILS") {
      place.open = true;
    }
    place.hidden = false;
  }
  if (target) {
    target.scrollIntoView();
  }
};
addEventListener("hashchange", openTarget);
openTarget();
