// Buttons with data-copy copy the text of the element beside them; without JavaScript they are
// not shown, and the text can be selected.
"use strict";

(() => {
    const SHOWN = 1500; // ms

    // Where the page is not served over TLS the browser has no clipboard for it.
    function selectAndCopy(element) {
        const range = document.createRange();
        range.selectNodeContents(element);
        const selection = document.getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        const done = document.execCommand("copy");
        if (done) selection.removeAllRanges();
        return done;
    }

    async function copy(element) {
        try {
            await navigator.clipboard.writeText(element.textContent);
            return true;
        } catch {
            return selectAndCopy(element);
        }
    }

    document.addEventListener("click", async (event) => {
        const button = event.target.closest("[data-copy]");
        if (!button) return;
        const label = button.querySelector("[data-copied]");
        const before = label.textContent;
        if (before === label.dataset.copied || !(await copy(button.nextElementSibling))) return;
        label.textContent = label.dataset.copied;
        setTimeout(() => (label.textContent = before), SHOWN);
    });
    document.documentElement.classList.add("saga-script");
})();
