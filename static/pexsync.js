"use strict";
// Small comforts; every page works without them.

// Live parts rest while nobody looks, and tell screen readers at most every five seconds.
let told = "";
let toldAt = 0;

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.hasAttribute("data-live")) event.preventDefault();
});

document.addEventListener("htmx:afterSwap", (event) => {
  const live = event.target.closest("[data-live]") || document.querySelector("[data-live]");
  const region = document.getElementById("live-words");
  const words = live ? live.getAttribute("data-live") : "";
  if (!region || !words || words === told || Date.now() - toldAt < 5000) return;
  told = words;
  toldAt = Date.now();
  region.textContent = words;
});

// Slower when the server does not answer, and a word that what is shown may be old.
for (const trouble of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(trouble, (event) => {
    const stale = document.getElementById("live-stale");
    if (stale && event.target.hasAttribute("data-live")) stale.hidden = false;
  });
}
document.addEventListener("htmx:beforeSwap", (event) => {
  const stale = document.getElementById("live-stale");
  if (stale && event.detail.xhr.status < 400) stale.hidden = true;
});

document.addEventListener("DOMContentLoaded", () => {
  // After an error the summary is read first.
  const summary = document.getElementById("error-summary");
  if (summary) summary.focus();

  // Choices that belong to a switch or a radio button rest while it is off. Nothing typed in them is lost.
  for (const part of document.querySelectorAll("[data-when]")) {
    const when = part.getAttribute("data-when");
    const not = when.includes("!=");
    const [name, value] = when.split(not ? "!=" : "=");
    const inputs = document.getElementsByName(name);
    const show = () => {
      const is = [...inputs].some((input) =>
        input.matches("select") ? input.value === value : input.checked && input.value === value
      );
      part.hidden = is === not;
    };
    for (const input of inputs) input.addEventListener("change", show);
    show();
  }

  // A switch that needs a choice beside it cannot be set before there is one.
  for (const part of document.querySelectorAll("[data-needs]")) {
    const source = document.getElementsByName(part.getAttribute("data-needs"))[0];
    const allow = () => {
      part.disabled = !source.value;
    };
    source.addEventListener("change", allow);
    allow();
  }

  // The example beside a page of cards is of the kind that was touched last.
  for (const card of document.querySelectorAll("[data-kind]")) {
    card.addEventListener("change", () => {
      const about = document.getElementById("about");
      if (about) about.value = card.getAttribute("data-kind");
    });
  }

  // A mapping says beside it whether it is a tag or always the same value.
  for (const type of document.querySelectorAll("[data-type-of]")) {
    const source = document.getElementsByName(type.getAttribute("data-type-of"))[0];
    source.addEventListener("change", () => {
      type.textContent = source.value.startsWith("static:") ? "Static" : "Tag";
    });
  }

  // Opening another step of the setup leaves this one as BACK does: what was typed in it is kept.
  const step = document.getElementById("form");
  for (const link of step ? document.querySelectorAll(".steps a") : []) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      const go = document.createElement("button");
      go.name = "go";
      go.value = link.pathname;
      go.hidden = true;
      step.append(go);
      step.requestSubmit(go);
      go.remove();
    });
  }

  // "/" goes to the search of the page.
  const search = document.querySelector("input[type=search]");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (search && event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });
});
