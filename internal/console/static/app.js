// Keeps a page up to date: one stream of server-sent events brings the fragments that changed, and each is merged into
// the page so that focus, scroll, open details and what was typed stay.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const silence = 40000; // ms without an event after which the connection counts as lost
  let source, watchdog, retry = 1000;

  // merge makes the children of to (in the page) like those of from, changing only what differs.
  function merge(to, from) {
    const byID = new Map();
    for (const child of to.children) if (child.id) byID.set(child.id, child);
    let at = to.firstChild;
    for (const want of [...from.childNodes]) {
      let have = at;
      if (want.nodeType === 1 && want.id && byID.has(want.id)) {
        have = byID.get(want.id);
        if (have !== at) to.insertBefore(have, at);
      }
      if (have && same(have, want)) {
        at = have.nextSibling;
        if (have.nodeType === 1) mergeElement(have, want);
        else if (have.data !== want.data) have.data = want.data;
      } else {
        to.insertBefore(want, at);
        if (want.nodeType === 1) window.htmx?.process(want);
      }
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
  }

  function same(a, b) {
    if (a.nodeType !== b.nodeType) return false;
    if (a.nodeType !== 1) return true;
    return a.nodeName === b.nodeName && a.id === b.id && a.getAttribute("hx-post") === b.getAttribute("hx-post");
  }

  function mergeElement(to, from) {
    for (const { name } of [...to.attributes]) {
      if (!from.hasAttribute(name) && !keeps(to, name)) to.removeAttribute(name);
    }
    for (const { name, value } of from.attributes) {
      if (to.getAttribute(name) !== value && !keeps(to, name)) to.setAttribute(name, value);
    }
    if (to.hasAttribute("data-chart")) return; // its content is drawn here
    if (to.nodeName !== "NOSCRIPT") merge(to, from);
  }

  // keeps tells which attributes belong to the reader of the page and not to the server.
  function keeps(element, name) {
    return (element.nodeName === "DETAILS" && name === "open") || (element.nodeName === "INPUT" && name === "value") ||
      (element.nodeName === "BUTTON" && name === "disabled") || (name === "class" && element.hasAttribute("data-chart"));
  }

  function put(id, html) {
    const target = document.getElementById(id);
    if (!target) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    const around = target.contains(document.activeElement) ? ancestors(document.activeElement) : [];
    merge(target, fresh.content);
    if (around.length > 0 && !target.contains(document.activeElement)) refocus(around);
    window.gatehouseCharts?.();
  }

  function ancestors(element) {
    const out = [];
    for (let e = element; e; e = e.parentElement) if (e.id) out.push(e.id);
    return out;
  }

  // refocus moves the focus of an element that is gone to what is left of the thing it stood in.
  function refocus(ids) {
    for (const id of ids) {
      const left = document.getElementById(id);
      const near = left?.querySelector("button, summary") ?? left?.querySelector("a[href]");
      if (near) { near.focus({ preventScroll: true }); return; }
    }
  }

  function say(text, state) {
    live.hidden = false;
    if (live.textContent !== text) live.textContent = text;
    live.className = "live " + state;
  }

  function heard() {
    retry = 1000;
    say("live", "on");
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, silence);
  }

  function lost() {
    source?.close();
    clearTimeout(watchdog);
    say("reconnecting", "off");
    setTimeout(connect, retry);
    retry = Math.min(retry * 2, 30000);
  }

  function connect() {
    source = new EventSource(document.body.dataset.events);
    const on = (name, act) => source.addEventListener(name, (event) => { heard(); act(JSON.parse(event.data)); });
    on("fragment", (f) => put(f.id, f.html));
    on("page", (p) => put("page", p.html));
    on("title", (t) => { document.title = t.title; });
    on("beat", () => {});
    on("gone", () => { source.close(); clearTimeout(watchdog); say("no longer there", "off"); });
    source.onerror = lost;
  }

  if (document.body.dataset.events) connect();
  window.addEventListener("pagehide", () => source?.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });

  // Menus: one open at a time, closed by Escape, by a click beside it, and when its action was taken.
  function close(menu, focus) {
    menu.open = false;
    if (focus) menu.querySelector("summary").focus();
  }
  document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (!menu.matches?.("details.menu") || !menu.open) return;
    for (const other of document.querySelectorAll("details.menu[open]")) if (other !== menu) close(other, false);
    menu.querySelector("input, button")?.focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) close(menu, menu.contains(document.activeElement));
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) close(menu, false);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const menu = event.target.closest?.("details.menu");
    if (menu && event.detail.successful) close(menu, true);
    if (event.detail.failed && !event.detail.xhr?.status) {
      const banner = document.createElement("p");
      banner.className = "banner fail";
      banner.textContent = "The console does not answer.";
      document.getElementById("outcome").replaceChildren(banner);
    }
  });
})();
