// Renews the parts of a page that have changed. Without it a page is a page: it is read anew every few seconds.
(() => {
  "use strict";
  const version = document.body.dataset.version;
  const state = document.querySelector("[data-state]");
  const at = document.querySelector("[data-at]");
  if (!version || !state || !window.EventSource) return;
  let source = null;
  let seen = version;

  const say = (words, late) => {
    if (state.textContent !== words) state.textContent = words;
    state.className = late ? "late" : "";
  };

  // What a person has opened stays open, and what they are typing in or have marked is not taken from under them.
  const busy = (part) => {
    const marked = document.getSelection();
    const field = document.activeElement;
    return (
      (marked && !marked.isCollapsed && part.contains(marked.anchorNode)) ||
      (field && part.contains(field) && /^(INPUT|SELECT|TEXTAREA)$/.test(field.tagName))
    );
  };

  const waiting = new Map();

  const renew = (key, html) => {
    const part = document.querySelector(`[data-live="${CSS.escape(key)}"]`);
    if (!part) return;
    if (busy(part)) {
      waiting.set(key, html);
      return;
    }
    waiting.delete(key);
    const name = (one) => one.querySelector("summary")?.textContent.split(":")[0];
    const opened = new Map([...part.querySelectorAll("details")].map((one) => [name(one), one.open]));
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const link = focused && focused.getAttribute("href");
    const folded = focused && focused.tagName === "SUMMARY" ? focused.textContent.split(":")[0] : null;
    part.innerHTML = html;
    for (const one of part.querySelectorAll("details")) if (opened.has(name(one))) one.open = opened.get(name(one));
    if (link) part.querySelector(`a[href="${CSS.escape(link)}"]`)?.focus({ preventScroll: true });
    if (folded) {
      for (const one of part.querySelectorAll("summary")) {
        if (one.textContent.split(":")[0] === folded) one.focus({ preventScroll: true });
      }
    }
    part.dispatchEvent(new CustomEvent("crossfade:renewed", { bubbles: true }));
  };

  const open = () => {
    const asked = new URLSearchParams({ page: location.pathname, seen });
    source = new EventSource(`/live?${asked}`);
    source.addEventListener("open", () => say("● live", false));
    source.addEventListener("parts", (event) => {
      const told = JSON.parse(event.data);
      seen = event.lastEventId;
      if (at) at.textContent = told.at;
      const keys = [...document.querySelectorAll("[data-live]")].map((part) => part.dataset.live);
      // What has parts that this page lacks is another page.
      if (told.whole && keys.join(" ") !== Object.keys(told.parts).join(" ")) {
        location.reload();
        return;
      }
      for (const [key, html] of [...waiting, ...Object.entries(told.parts)]) renew(key, html);
    });
    source.addEventListener("error", () => {
      if (source && source.readyState === EventSource.CLOSED) say("? not live: reload the page", true);
      else say("? no answer: trying again", true);
    });
  };

  const close = () => {
    if (source) source.close();
    source = null;
  };

  // A browser has few connections to one place: pages that nobody looks at must not hold them.
  document.addEventListener("visibilitychange", () => {
    close();
    if (!document.hidden) open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) open();
  });
  if (!document.hidden) open();
})();
