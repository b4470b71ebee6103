/* The hub's one script. Every page works without it; with it
   - deadlines count down, drawn from the server's clock (data-deadline, and data-now of <main>, in milliseconds);
   - a form with data-draft is saved a moment after each change;
   - an element with data-refresh is fetched again every five seconds while the page is visible;
   - a control with data-live has the form drawn again, because other questions depend on its answer;
   - an answer says how it was written (pastes, keys, leaving the page);
   - Ctrl+Enter submits the answer form. No single-letter keys: they fight with screen readers. */
"use strict";

(() => {
  const DRAFT_AFTER_MS = 700;
  const REFRESH_MS = 5000;

  /* ---------- deadlines ---------- */

  // How far this device's clock is from the server's: a wrong clock here must not shorten anybody's time.
  const offset = Number(document.getElementById("main").dataset.now) - Date.now();

  function left(node) {
    return Number(node.dataset.deadline) - (Date.now() + offset);
  }

  function words(ms) {
    if (ms <= 0) return "no time left";
    const seconds = Math.floor(ms / 1000);
    if (seconds < 60) return `${seconds} s left`;
    if (seconds < 600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s left`;
    if (seconds < 7200) return `${Math.floor(seconds / 60)} min left`;
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min left`;
  }

  function tick() {
    for (const node of document.querySelectorAll("[data-deadline]")) {
      const ms = left(node);
      const text = words(ms);
      if (node.textContent !== text) node.textContent = text;
      node.classList.toggle("soon", ms < 60_000);
      const warning = document.getElementById(node.dataset.warning || "");
      if (warning && ms < 60_000 && ms > 0 && !warning.textContent) {
        warning.textContent = "Less than a minute left.";
      }
    }
  }

  /* ---------- drafts ---------- */

  function say(form, text) {
    const place = document.getElementById(form.dataset.status || "");
    if (place) place.textContent = text;
  }

  function body(form) {
    return new URLSearchParams(new FormData(form));
  }

  function keepDrafts(form) {
    let timer = 0;
    let dirty = false;
    let lost = false;
    let saving = Promise.resolve();

    async function save() {
      window.clearTimeout(timer);
      if (!dirty || lost) return;
      dirty = false;
      try {
        const answer = await fetch(form.dataset.draft, {
          method: "POST", body: body(form), credentials: "same-origin", redirect: "manual",
          headers: { Accept: "application/json" },
        });
        if (answer.status === 401 || answer.status === 404 || answer.status === 409) {
          lost = true;
          say(form, "Draft not saved: this task is no longer in your hands.");
          return;
        }
        if (!answer.ok) throw new Error(String(answer.status));
        if (!dirty) say(form, "Draft saved");
      } catch {
        dirty = true;
        say(form, "Draft not saved. We try again.");
        timer = window.setTimeout(queue, REFRESH_MS);
      }
    }

    function queue() { saving = saving.then(save); }

    form.addEventListener("input", () => {
      if (lost) return;
      dirty = true;
      say(form, "Saving…");
      window.clearTimeout(timer);
      timer = window.setTimeout(queue, DRAFT_AFTER_MS);
    });
    form.addEventListener("submit", () => { dirty = false; window.clearTimeout(timer); });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden" && dirty) {
        dirty = !navigator.sendBeacon(form.dataset.draft, body(form));
      }
    });
  }

  /* ---------- questions that depend on an answer ---------- */

  // The server draws the form again with what was typed. The page stays and the focus too, because arrow keys in a
  // group of radio buttons change the answer at every step.
  function keepLive(form) {
    let changes = 0;
    let busy = false;

    async function redraw() {
      if (busy) return;
      busy = true;
      try {
        let seen = -1;
        let html = "";
        while (seen !== changes) {
          seen = changes;
          const posted = body(form);
          posted.append("_refresh", "1");
          const answer = await fetch(form.action, { method: "POST", body: posted, credentials: "same-origin" });
          if (!answer.ok) throw new Error(String(answer.status));
          html = await answer.text();
        }
        const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("form[data-draft]");
        if (!fresh) { window.location.reload(); return; }
        const focused = document.activeElement ? document.activeElement.id : "";
        form.replaceChildren(...fresh.childNodes);
        const again = focused && document.getElementById(focused);
        if (again) again.focus({ preventScroll: true });
      } catch {
        say(form, "Draft not saved. Check your connection.");
      } finally {
        busy = false;
      }
    }

    form.addEventListener("input", () => { changes += 1; });
    form.addEventListener("change", (event) => {
      if (event.target instanceof Element && event.target.closest("[data-live]")) redraw();
    });
  }

  /* ---------- lists that change by themselves ---------- */

  function refresh(node) {
    let etag = "";
    let busy = false;
    async function once() {
      if (busy || document.visibilityState === "hidden") return;
      busy = true;
      try {
        const answer = await fetch(node.dataset.refresh, {
          credentials: "same-origin", redirect: "manual", cache: "no-store",
          headers: etag ? { "If-None-Match": etag } : {},
        });
        if (answer.status === 200) {
          etag = answer.headers.get("ETag") || "";
          replace(node, await answer.text());
        }
      } catch {
        // Away for a moment: the next round finds out.
      } finally {
        busy = false;
      }
    }
    window.setInterval(once, REFRESH_MS);
    document.addEventListener("visibilitychange", once);
  }

  function replace(node, html) {
    const before = node.querySelectorAll("[data-offer]").length;
    const held = node.querySelectorAll("[data-hand]").length;
    const focused = node.contains(document.activeElement) ? document.activeElement.id : "";
    const fresh = new DOMParser().parseFromString(html, "text/html");
    node.replaceChildren(...fresh.body.childNodes);
    if (focused) {
      const again = document.getElementById(focused) || document.getElementById("main");
      again.focus({ preventScroll: true });
    }
    const after = node.querySelectorAll("[data-offer]").length;
    const news = document.getElementById("news");
    if (news && after !== before) news.textContent = after === 1 ? "1 offer for you" : `${after} offers for you`;
    const holds = node.querySelectorAll("[data-hand]").length;
    if (news && holds > held) news.textContent = holds === 1 ? "1 question in your hands" : `${holds} questions in your hands`;
    tick();
  }

  /* ---------- how it was written ---------- */

  // Told to the worker beside the form; sent with the answer and never needed for it. Counts, no content: pastes and
  // their characters, how often the page was left, key presses and the time between them.
  function notice(form) {
    const seen = { pastes: 0, pasted: 0, blurs: 0, keys: 0, typing_ms: 0 };
    let last = 0;
    form.addEventListener("paste", (event) => {
      seen.pastes += 1;
      seen.pasted += (event.clipboardData?.getData("text") || "").length;
    });
    form.addEventListener("keydown", (event) => {
      if (event.key.length > 1 && event.key !== "Backspace") return;
      seen.keys += 1;
      if (last && event.timeStamp - last < 5000) seen.typing_ms += Math.round(event.timeStamp - last);
      last = event.timeStamp;
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") seen.blurs += 1;
    });
    form.addEventListener("formdata", (event) => {
      event.formData.set("_noticed", JSON.stringify({ ...seen, browser: browser() }));
    });
  }

  // A random number that stays in this browser, so that two accounts of one person are not asked the same question.
  function browser() {
    try {
      let id = localStorage.getItem("hub-browser");
      if (!id) localStorage.setItem("hub-browser", (id = crypto.getRandomValues(new Uint32Array(4)).join("-")));
      return id;
    } catch {
      return "";
    }
  }

  /* ---------- start ---------- */

  for (const form of document.querySelectorAll("form[data-draft]")) {
    keepDrafts(form);
    keepLive(form);
    notice(form);
  }
  for (const node of document.querySelectorAll("[data-refresh]")) refresh(node);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const form = event.target instanceof Element && event.target.closest("form[data-draft]");
    const button = form && form.querySelector("button[data-submit]");
    if (button) { event.preventDefault(); form.requestSubmit(button); }
  });
  // A page that shows an error summary puts the reader there.
  const summary = document.querySelector("[data-focus]");
  if (summary) summary.focus();
  tick();
  window.setInterval(tick, 1000);
})();
