// The console's own behaviour: hold-to-confirm, loss of contact, and small courtesies. No inline code, no eval.
"use strict";

(() => {
  const hold = document.getElementById("hold");
  if (!hold) return;
  const hint = document.getElementById("hold-hint");
  const label = document.getElementById("hold-label");
  const scope = document.getElementById("stop-scope");
  const needed = Number(hold.dataset.holdMs);
  const idle = hint.textContent;
  const slack = 24; // A thumb rolls; a finger that slides clearly off the button has changed its mind.
  let began = 0;
  let timer = 0;

  const rest = () => {
    const all = scope.value === "desk";
    label.textContent = all ? "Hold to stop the desk" : `Hold to stop ${scope.value.replace("account:", "").replace(":", " ")}`;
  };

  const start = () => {
    if (began || hold.getAttribute("aria-busy") === "true") return;
    began = performance.now();
    hold.classList.add("holding");
    label.textContent = "Keep holding…";
    hint.textContent = "Keep holding. Let go to call it off.";
    timer = setTimeout(fire, needed);
  };

  const cancel = () => {
    if (!began) return;
    clearTimeout(timer);
    began = 0;
    hold.classList.remove("holding");
    rest();
    hint.textContent = "Let go too early: nothing was stopped.";
  };

  const fire = () => {
    if (!began) return;
    if (performance.now() - began < needed) {
      timer = setTimeout(fire, 20);
      return;
    }
    began = 0;
    hold.classList.remove("holding");
    hold.setAttribute("aria-busy", "true");
    label.textContent = "Stopping…";
    hint.textContent = "Sent to the guard.";
    htmx.trigger(hold, "held");
  };

  hold.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    hold.setPointerCapture(event.pointerId);
    start();
  });
  hold.addEventListener("pointermove", (event) => {
    if (!began) return;
    const box = hold.getBoundingClientRect();
    const inside =
      event.clientX > box.left - slack && event.clientX < box.right + slack &&
      event.clientY > box.top - slack && event.clientY < box.bottom + slack;
    if (!inside) cancel();
  });
  for (const name of ["pointerup", "pointercancel", "blur"]) hold.addEventListener(name, cancel);
  hold.addEventListener("contextmenu", (event) => event.preventDefault());
  hold.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (!event.repeat) start();
  });
  hold.addEventListener("keyup", (event) => {
    if (event.key === "Enter" || event.key === " ") cancel();
  });
  window.addEventListener("blur", cancel);
  document.addEventListener("visibilitychange", cancel);
  scope.addEventListener("change", rest);
  rest();

  hold.addEventListener("htmx:afterRequest", (event) => {
    hold.removeAttribute("aria-busy");
    rest();
    hint.textContent = event.detail.successful ? idle : "Not confirmed. Hold again, or run: perpguard kill";
  });
})();

(() => {
  const lost = document.getElementById("lost");

  // A refusal in HTML is meant to be read where it was asked; any other failure leaves the page as it was.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const type = event.detail.xhr.getResponseHeader("Content-Type") || "";
    if (event.detail.xhr.status >= 400 && type.startsWith("text/html")) event.detail.shouldSwap = true;
  });

  if (lost) {
    for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, () => { lost.hidden = false; });
    document.addEventListener("htmx:afterOnLoad", (event) => { if (event.detail.xhr.status < 500) lost.hidden = true; });
    document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr.status >= 500) lost.hidden = false; });
  }

  document.addEventListener("click", (event) => {
    const empties = event.target.closest("[data-empty]");
    if (empties) document.querySelector(empties.dataset.empty).replaceChildren();
    if (event.target.closest("[data-print]")) window.print();
  });

  // What is open stays open over a renewal.
  let open = [];
  document.addEventListener("htmx:beforeSwap", () => {
    open = [...document.querySelectorAll("details[id][open]")].map((each) => each.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "decision") event.detail.target.firstElementChild?.focus();
  });

  // A token is typed for one answer; what was asked for is not asked for twice by a second press.
  for (const form of document.querySelectorAll("form.clears")) {
    form.addEventListener("htmx:afterRequest", (event) => {
      if (form.elements.token) form.elements.token.value = "";
      if (event.detail.successful) form.reset();
    });
  }
})();
