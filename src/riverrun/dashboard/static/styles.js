"use strict";
// BokehJS puts its styles into <style> elements, which our content security policy forbids (style-src 'self').
// Style sheets made by script are allowed, so "style" elements become this stand-in, which adopts its text as one.
(() => {
  class ConstructedStyle extends HTMLElement {
    #sheet = new CSSStyleSheet();
    #text = "";
    #root = null;

    get textContent() {
      return this.#text;
    }

    set textContent(css) {
      this.#text = css;
      this.#sheet.replaceSync(css);
    }

    connectedCallback() {
      this.style.display = "none";
      this.#root = this.getRootNode();
      this.#root.adoptedStyleSheets = [...this.#root.adoptedStyleSheets, this.#sheet];
    }

    disconnectedCallback() {
      this.#root.adoptedStyleSheets = this.#root.adoptedStyleSheets.filter((sheet) => sheet !== this.#sheet);
    }
  }
  customElements.define("riverrun-style", ConstructedStyle);
  const create = document.createElement.bind(document);
  document.createElement = (name, options) => create(name === "style" ? "riverrun-style" : name, options);
})();
