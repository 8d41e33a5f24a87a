// Keeps an element with data-live="<url>" up to date: asks every data-live-every milliseconds
// (2000 if not given) with the header X-Live, and takes over what changed of the fragment that
// it gets. 304 changes nothing; the header X-Live-Stop ends it. What is unfolded, focused,
// scrolled or selected stays so. Of [data-live-say] a change of that attribute is announced.
"use strict";

(() => {
    const LONGEST = 60000; // ms between two tries when they fail
    const PATIENCE = 10000; // ms for one answer

    const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "");
    const alike = (a, b) => a && a.nodeName === b.nodeName && key(a) === key(b);

    function takeOver(old, fresh) {
        if (old.nodeType !== Node.ELEMENT_NODE) {
            if (old.data !== fresh.data) old.data = fresh.data;
            return;
        }
        const kept = (name) => name === "open" && old.nodeName === "DETAILS";
        for (const { name } of [...old.attributes]) {
            if (!fresh.hasAttribute(name) && !kept(name)) old.removeAttribute(name);
        }
        for (const { name, value } of fresh.attributes) {
            if (old.getAttribute(name) !== value && !kept(name)) old.setAttribute(name, value);
        }
        takeOverChildren(old, fresh);
    }

    function takeOverChildren(old, fresh) {
        const stay = new Set([...fresh.childNodes].map(key));
        [...old.childNodes].forEach((node) => key(node) && !stay.has(key(node)) && node.remove());
        let place = old.firstChild;
        for (const node of [...fresh.childNodes]) {
            if (alike(place, node)) {
                takeOver(place, node);
                place = place.nextSibling;
            } else {
                old.insertBefore(node, place);
            }
        }
        for (let next; place; place = next) {
            next = place.nextSibling;
            place.remove();
        }
    }

    function selected(element) {
        const selection = document.getSelection();
        return selection && !selection.isCollapsed && selection.containsNode(element, true);
    }

    function keepUpToDate(element) {
        const every = Number(element.dataset.liveEvery) || 2000;
        const words = {
            pause: element.dataset.livePause || "Pause updates", // in the page's language
            resume: element.dataset.liveResume || "Resume updates",
            stale: element.dataset.liveStale || "Not up to date since",
        };
        const bar = document.createElement("div");
        const [note, said, button] = ["span", "span", "button"].map((name) => document.createElement(name));
        [bar.className, said.className] = ["saga-live-bar", "saga-unseen"];
        said.setAttribute("role", "status");
        [button.type, button.textContent] = ["button", words.pause];
        bar.append(note, said, button);
        element.before(bar);
        let [etag, timer, failures, paused, ended, asking, good] = ["", 0, 0, false, false, false, new Date()];

        const later = () => {
            clearTimeout(timer);
            if (!paused && !ended) timer = setTimeout(ask, Math.min(every * 2 ** failures, LONGEST));
        };
        const saying = () => element.querySelector("[data-live-say]")?.dataset.liveSay || "";

        async function take(response) {
            if (response.status !== 304) {
                if (!response.ok) throw new Error(response.status);
                const template = document.createElement("template");
                template.innerHTML = await response.text();
                if (selected(element) || paused) return; // it is asked for again
                const before = saying();
                takeOverChildren(element, template.content);
                if (saying() !== before) said.textContent = saying();
                etag = response.headers.get("ETag") || "";
            }
            ended = response.headers.has("X-Live-Stop");
            if (ended) button.remove();
        }

        async function ask() {
            if (asking || document.hidden) return;
            asking = true;
            try {
                const headers = { "X-Live": "1", ...(etag && { "If-None-Match": etag }) };
                const signal = AbortSignal.timeout(PATIENCE);
                // A redirect leads to the login or away: that is no fragment.
                await take(await fetch(element.dataset.live, { headers, signal, redirect: "error" }));
                [failures, good, note.textContent] = [0, new Date(), ""];
            } catch {
                failures += 1;
                note.textContent = `${words.stale} ${good.toLocaleTimeString()}`;
            }
            asking = false;
            later();
        }

        button.addEventListener("click", () => {
            paused = !paused;
            button.textContent = paused ? words.resume : words.pause;
            return paused ? clearTimeout(timer) : ask();
        });
        document.addEventListener("visibilitychange", () => (paused || ended ? null : ask()));
        later();
    }

    document.addEventListener("DOMContentLoaded", () => {
        document.querySelectorAll("[data-live]").forEach(keepUpToDate);
    });
})();
