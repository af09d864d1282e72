// A file chosen on the policy's page is read into the text beside it; nothing is sent by that.
"use strict";

(() => {
  for (const chooser of document.querySelectorAll("input[type=file][data-fills]")) {
    chooser.addEventListener("change", async () => {
      const file = chooser.files[0];
      if (!file) return;
      document.querySelector(chooser.dataset.fills).value = await file.text();
    });
  }
})();
