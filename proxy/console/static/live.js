// Renews the parts of a page that the guard says are old; asks for all of them by itself when the live line is lost.
"use strict";

(() => {
  const notes = document.querySelectorAll(".live");
  const parts = () => [...document.querySelectorAll("[data-part]")];
  if (!parts().length || !window.EventSource) return;
  const silent = 5000; // The guard beats once a second.
  const polled = 2000;
  let source = null;
  let heard = 0;
  let asked = 0;

  const say = (state, text) => {
    for (const note of notes) {
      if (note.dataset.state === state) continue;
      note.dataset.state = state;
      note.querySelector("span").textContent = text;
      note.hidden = false;
    }
  };
  const renew = (names) => {
    for (const part of parts()) if (!names || names.includes(part.dataset.part)) htmx.trigger(part, "moved");
  };
  const listen = () => {
    source?.close();
    source = new EventSource("/events");
    source.addEventListener("beat", () => { heard = Date.now(); say("on", "Live"); });
    source.addEventListener("moved", (event) => {
      heard = Date.now();
      say("on", "Live");
      renew(event.data.split(" "));
    });
    source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) heard = 0; });
    source.addEventListener("bye", () => { source.close(); renew(); });
  };

  setInterval(() => {
    const now = Date.now();
    if (!source || document.hidden || now - heard < silent || now - asked < polled) return;
    asked = now;
    say("polled", "Polling every 2 s");
    renew();
  }, 500);
  // A page nobody looks at needs no line; a browser has few, and the button needs one.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source?.close();
    else listen();
  });
  // Not before htmx listens to the parts: what is said earlier is said to nobody.
  document.addEventListener("DOMContentLoaded", () => {
    heard = Date.now();
    listen();
  });
})();
