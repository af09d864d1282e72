// Contact with the guard: renews the parts that it says are old, asks for all of them by itself when the live line is
// lost, says what is old, and keeps the page's forms those of the session that the browser's cookie opens.
"use strict";

(() => {
  const notes = document.querySelectorAll(".live");
  if (!notes.length) return;
  const [lost, aged, over, bare] = ["lost", "aged", "over", "bare"].map((id) => document.getElementById(id));
  const silentMs = 6000; // The guard beats once a second, every four while it cannot read its desk.
  const polledMs = 2000;
  const answeredMs = 3000;
  const againMs = 30000;
  const firstMs = 2000; // A press that waits for its answer longer than that has had its connection.
  const renewing = "[data-part], [hx-trigger*='every ']";
  const parts = () => [...document.querySelectorAll("[data-part]")];
  const loaded = new Date();
  const renewed = new Map(); // By address, when a part came last.
  const failing = new Set();
  let source = null;
  let heard = 0;
  let asked = 0;
  let listened = 0;
  let asking = false;
  let contact = true;
  const pressing = new Set(); // What was sent and goes before all looks,
  const waiting = new Set(); // and what has long been sent and has no answer yet.
  let whole = false; // Whether all scripts came.

  const say = (state, text) => {
    for (const note of notes) {
      if (note.textContent.trim() === text) continue;
      note.dataset.state = state;
      note.querySelector("span").textContent = text;
      note.hidden = false;
    }
  };
  const show = () => {
    lost.hidden = contact;
    aged.hidden = !contact || !failing.size;
    if (!contact) say("polled", "No contact");
    else if (failing.size) say("polled", "Partly old");
    else if (waiting.size) say("polled", "Waiting for an answer");
    else if (!document.querySelector(renewing)) say("on", "In contact");
    else if (Date.now() - heard < silentMs) say("on", "Live");
    else say("polled", "Polling every 2 s");
  };
  const hear = () => {
    heard = Date.now();
    contact = true;
    show();
  };
  const renew = (names) => {
    if (pressing.size || !window.htmx) return;
    for (const part of parts()) {
      if (names && !names.includes(part.dataset.part)) continue;
      // One that takes long is waited for: to ask again each time would let it never come.
      if (!part.classList.contains("htmx-request")) htmx.trigger(part, "moved");
    }
  };

  // Whose session the cookie opens by now: another tab may have signed in anew, and this page's forms be of the old one.
  const ask = async () => {
    if (asking) return;
    asking = true;
    asked = Date.now();
    try {
      const answer = await fetch("/partials/session", { signal: AbortSignal.timeout(answeredMs) });
      contact = answer.ok || answer.status === 401;
      over.hidden = answer.status !== 401;
      if (answer.ok) adopt(await answer.json());
      else if (!over.hidden) leave();
    } catch {
      contact = false;
    } finally {
      asking = false;
      show();
    }
  };
  const adopt = (session) => {
    if (session.person !== document.querySelector(".who").textContent) return location.reload();
    for (const field of document.querySelectorAll("input[name=csrf]")) field.value = session.csrf;
    if (!source) listen();
  };
  const leave = () => {
    close();
    if (document.querySelector(renewing)) location.assign("/sign-in");
  };

  const close = () => {
    source?.close();
    source = null;
  };
  const listen = () => {
    if (document.hidden || pressing.size) return;
    close();
    listened = Date.now();
    source = new EventSource("/events");
    source.addEventListener("beat", hear);
    source.addEventListener("moved", (event) => {
      hear();
      renew(event.data.split(" "));
    });
    source.addEventListener("error", () => { if (source?.readyState === EventSource.CLOSED) heard = 0; });
    source.addEventListener("bye", () => { close(); ask().then(() => renew()); });
  };

  setInterval(() => {
    const now = Date.now();
    if (document.hidden || pressing.size || !whole || now - heard < silentMs || now - asked < polledMs) return;
    if (source?.readyState === EventSource.CLOSED && now - listened > againMs) listen();
    ask();
    renew();
  }, 500);

  // A page nobody looks at needs no line; a browser has few, and the button needs one.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    heard = Date.now();
    ask();
  });

  // A press goes before everything that is only looked at: a browser has six connections, and parts can hang in them.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, verb } = event.detail.requestConfig;
    if (verb !== "get") {
      close();
      for (const part of document.querySelectorAll(".htmx-request")) if (part !== elt && part.matches(renewing)) htmx.trigger(part, "htmx:abort");
      press(event.detail.xhr);
    } else if (pressing.size && elt.matches(renewing)) event.preventDefault();
  });
  // By the request and not by the form, which may be gone by the time that its answer comes.
  const press = (xhr) => {
    pressing.add(xhr);
    const later = setTimeout(() => { waiting.add(xhr); release(xhr); }, firstMs);
    xhr.addEventListener("loadend", () => {
      clearTimeout(later);
      waiting.delete(xhr);
      if (xhr.status) heard = Date.now();
      release(xhr);
      if (xhr.status < 200 || xhr.status >= 400) ask();
    });
  };
  const release = (xhr) => {
    pressing.delete(xhr);
    if (pressing.size) return;
    if (!source) listen();
    renew();
    show();
  };

  const address = (event) => event.detail.requestConfig.path.split("?")[0];
  const renews = (event) => event.detail.requestConfig.verb === "get" && event.detail.requestConfig.elt.matches(renewing);
  const fail = (event) => {
    if (!renews(event)) return;
    const at = address(event);
    failing.add(at);
    const { target } = event.detail;
    const place = target.isConnected ? target : document.getElementById(target.id);
    if (place && !place.querySelector(":scope > .aged")) {
      const note = document.createElement("p");
      note.className = "notice bad aged";
      note.textContent = `Old: not renewed since ${(renewed.get(at) ?? loaded).toISOString().slice(11, 19)} UTC.`;
      place.prepend(note);
    }
    show();
  };
  for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, (event) => { fail(event); ask(); });
  document.addEventListener("htmx:afterOnLoad", (event) => {
    const { xhr } = event.detail;
    if (!renews(event) || xhr.status === 401) return; // Then the answer leads to where one signs in.
    // A refusal in HTML takes the part's place, and says itself what cannot be read.
    if (xhr.status >= 400 && !(xhr.getResponseHeader("Content-Type") || "").startsWith("text/html")) return fail(event);
    renewed.set(address(event), new Date());
    failing.delete(address(event));
    show();
  });

  // Not before htmx listens to the parts: what is said earlier is said to nobody.
  document.addEventListener("DOMContentLoaded", () => {
    heard = Date.now();
    whole = Boolean(window.htmx);
    if (whole) {
      bare.remove();
      return listen();
    }
    bare.hidden = false;
    say("polled", "Not renewed");
  });
})();
