// What becomes of a form that was sent: its answer stands alone, no answer is said, a proof is typed for one answer, and
// lists to choose from are those of now.
"use strict";

(() => {
  const isHtml = (xhr) => (xhr.getResponseHeader("Content-Type") || "").startsWith("text/html");
  const renews = (elt) => elt.matches("[data-part], [hx-trigger*='every ']");
  const say = (target, strong, text) => {
    const note = document.createElement("p");
    note.className = "notice bad";
    const first = document.createElement("strong");
    first.textContent = strong;
    note.append(first, ` ${text}`);
    target.replaceChildren(note);
  };

  // A refusal in HTML is meant to be read where it was asked; any other failure is said by us.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 400 && isHtml(event.detail.xhr)) event.detail.shouldSwap = true;
  });
  const refused = (target, status, verb) => {
    if (status >= 400 && status < 500) say(target, "Refused.", `Nothing was done (${status}).`);
    else if (verb === "get") say(target, "No answer.", "");
    else say(target, "No answer:", `it is not known whether this was done. ${target.dataset.unanswered ?? ""}`);
  };

  // Told by the request: the form that sent it may be gone by the time that its answer comes, and htmx would tell the form.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { xhr, target, requestConfig } = event.detail;
    if (requestConfig.verb !== "get") target.replaceChildren(); // What the press before came to is not what this one will.
    if (renews(requestConfig.elt)) return;
    for (const end of ["load", "error", "timeout"]) xhr.addEventListener(end, () => answered(event.detail));
  });
  const answered = ({ xhr, target, requestConfig }) => {
    const done = xhr.status >= 200 && xhr.status < 400;
    const place = target.isConnected ? target : document.getElementById(target.id) ?? target;
    if (!done && !isHtml(xhr)) refused(place, xhr.status, requestConfig.verb);
    if (requestConfig.verb === "get") return;
    // A proof is typed for one answer, whatever it was; what was asked for is not asked for twice by a second press.
    const form = requestConfig.elt.closest("form");
    if (form?.elements.proof) form.elements.proof.value = "";
    if (form?.matches(".clears") && done) form.reset();
  };

  // Where htmx does not send it, the typed stop goes as a page of its own, and still says what is to be stopped.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.id !== "typed-form") return;
    const told = ({ formData }) => {
      for (const field of document.querySelectorAll("#stop-scope, #stop-form [name=reason]")) formData.set(field.name, field.value);
    };
    event.target.addEventListener("formdata", told, { once: true });
  });

  // What has been chosen stays chosen, also when it is not there any more: no other must be sent in its place.
  const choose = (from) => {
    const { choices } = from.dataset;
    const options = [...from.content.querySelectorAll("option")];
    for (const select of document.querySelectorAll(`select[data-choices="${choices}"]`)) {
      const chosen = select.selectedOptions[0];
      const all = [...(chosen && !options.some((each) => each.value === chosen.value) ? [chosen] : []), ...options];
      if (all.length === select.options.length && all.every((each, at) => each.value === select.options[at].value)) continue;
      select.replaceChildren(...all.map((each) => each.cloneNode(true)));
      if (chosen) select.value = chosen.value;
    }
    for (const needs of document.querySelectorAll(`[data-needs="${choices}"]`)) {
      needs.hidden = !options.length && !needs.querySelector(".notice");
    }
  };
  document.addEventListener("htmx:afterSwap", () => document.querySelectorAll("template[data-choices]").forEach(choose));

  // The name stays typed after a wrong password. The answer repeats none, so that it tells nobody which names there are.
  const before = sessionStorage.getItem("kept");
  sessionStorage.removeItem("kept");
  const kept = document.querySelector("input[data-kept]");
  if (!kept) return;
  if (before && document.querySelector("[role=alert]")) kept.value = before;
  kept.form.addEventListener("submit", () => sessionStorage.setItem("kept", kept.value));
})();
