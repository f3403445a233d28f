(() => {
  // The app is at the root. Not told so, the frontend first asks for its server below the path of the page.
  window.__streamlit = { BACKEND_BASE_URL: `${location.origin}/` };
  const IS_DOWN = /Is Streamlit still running|server is not responding/;
  const INSTEAD = "Maskloom is not running; trainings go on. Start it again, and this page reconnects by itself.";
  const reword = (dialog) => {
    const words = document.createTreeWalker(dialog, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      if (!IS_DOWN.test(words.currentNode.data)) continue;
      words.currentNode.data = INSTEAD; // the node stays: it is React's
      for (const code of dialog.querySelectorAll('[data-testid="stCode"]')) code.hidden = true;
    }
  };
  const look = () => document.querySelectorAll("[role=dialog]").forEach(reword);
  addEventListener("DOMContentLoaded", () =>
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true }));
})();
