// Prism looks for code in the page by itself unless told not to, before it loads.
window.Prism = { manual: true };
