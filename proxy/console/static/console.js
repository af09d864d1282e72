// The console's own behaviour: hold-to-confirm, and small courtesies. No inline code, no eval.
"use strict";

(() => {
  const hold = document.getElementById("hold");
  if (!hold) return;
  const reduce = document.getElementById("reduce");
  const hint = document.getElementById("hold-hint");
  const label = document.getElementById("hold-label");
  const scope = document.getElementById("stop-scope");
  const preview = document.getElementById("kill-preview");
  const needed = Number(hold.dataset.holdMs);
  const idle = hint.textContent;
  const answeredMs = 15000; // As long as htmx waits.
  const slack = 24; // A thumb rolls; a finger that slides clearly off the button has changed its mind.
  let began = 0;
  let timer = 0;
  let sent = false;

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
    sent = false;
    window.htmx?.trigger(hold, "held"); // It may be there and not yet listen to the page.
    if (!sent) sendBare(hold, "Hold again");
  };

  const tell = () => {
    sent = true;
    hint.textContent = "Sent to the guard.";
  };

  const ended = (button, text) => {
    button.removeAttribute("aria-busy");
    if (button === hold) rest();
    hint.textContent = text;
  };

  // A press needs none of what did not load.
  const sendBare = async (button, again) => {
    const answered = document.getElementById("stop-answer");
    answered.replaceChildren();
    button.setAttribute("aria-busy", "true");
    tell();
    try {
      const body = new URLSearchParams(new FormData(hold.form));
      const headers = { "HX-Request": "true" };
      const signal = AbortSignal.timeout(answeredMs);
      const answer = await fetch(button.getAttribute("hx-post"), { method: "POST", body, headers, signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      answered.replaceChildren(...page.querySelectorAll(".notice:not(#kill-progress *)"));
      ended(button, answer.ok ? "This page did not load whole: load it again." : `Not confirmed. ${again}, or run: perpguard kill`);
    } catch {
      ended(button, `No answer: it is not known whether it was done. ${again}, or run: perpguard kill`);
    }
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
  scope.addEventListener("change", () => {
    rest();
    preview?.replaceChildren("Reading… The button does not wait for this."); // The figures were another scope's.
  });
  rest();

  hold.addEventListener("htmx:beforeSend", tell);
  hold.addEventListener("htmx:afterRequest", (event) => {
    ended(hold, event.detail.successful ? idle : "Not confirmed. Hold again, or run: perpguard kill");
  });

  // Where htmx listens, it has sent the click by the time that it has come up here.
  document.addEventListener("click", (event) => {
    if (!reduce?.contains(event.target) || reduce.matches(".htmx-request, [aria-busy]")) return;
    sendBare(reduce, "Press again");
  });
})();

(() => {
  // live.js takes it away as soon as the page is whole. Until then nothing renews itself, and nobody else would say so.
  setTimeout(() => document.getElementById("bare")?.removeAttribute("hidden"), 5000);

  document.addEventListener("click", (event) => {
    const empties = event.target.closest("[data-empty]");
    if (empties) document.querySelector(empties.dataset.empty).replaceChildren();
    if (event.target.closest("[data-print]")) window.print();
  });

  // What is open stays open over a renewal, and the keyboard stays where it was.
  let open = [];
  let focused = "";
  document.addEventListener("htmx:beforeSwap", () => {
    open = [...document.querySelectorAll("details[id][open]")].map((each) => each.id);
    focused = document.activeElement?.id;
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus({ preventScroll: true });
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "decision") event.detail.target.firstElementChild?.focus();
  });
})();
