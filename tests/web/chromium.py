# ruff: noqa: E501 - what runs in the browser is written as one writes it there
"""Chromium as the system has it, driven by Playwright without a browser of its own; what is asked of a page in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

FOUND = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDED = pytest.mark.skipif(
    not FOUND, reason="There is no Chromium here: `apt-get install chromium` lets the pages be tried in a browser."
)


@contextmanager
def chromium() -> Iterator:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=FOUND, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


CONTRAST = """() => {
  const rgb = text => { const m = text.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const over = (top, back) => top.slice(0, 3).map((v, i) => v * top[3] + back[i] * (1 - top[3]));
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = node => { const layers = []; for (let n = node; n; n = n.parentElement) layers.push(rgb(getComputedStyle(n).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]); };
  const bad = []; let looked = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !node.checkVisibility() || node.closest('.unseen, .skip, meter, title')) continue;
    const style = getComputedStyle(node), back = behind(node);
    const ink = over(rgb(node.closest('svg') ? style.fill : style.color), back);
    const [a, b] = [light(ink), light(back)];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
    looked += 1;
    if (ratio < (size >= 24 || (bold && size >= 18.66) ? 3 : 4.5)) bad.push(`${ratio.toFixed(2)}: ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  return [looked, bad];
}"""
"""How many texts there are, and which have too little contrast (WCAG 2.2, 1.4.3). Source: the formulas of WCAG 2.2."""

LABELS = """() => {
  const bad = [];
  for (const one of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
    if (!one.labels.length && !one.getAttribute('aria-label')) bad.push(one.outerHTML.slice(0, 80));
  for (const one of document.querySelectorAll('button, a')) if (!one.textContent.trim()) bad.push(one.outerHTML.slice(0, 80));
  for (const one of document.querySelectorAll('th')) if (!one.scope) bad.push('th without scope: ' + one.textContent);
  for (const one of document.querySelectorAll('table')) if (!one.tHead) bad.push('a table without a head');
  for (const one of document.querySelectorAll('img')) if (!one.alt) bad.push('an image without words');
  const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
  for (const id of ids.filter((id, n) => ids.indexOf(id) !== n)) bad.push('twice: #' + id);
  for (const one of document.querySelectorAll('[aria-labelledby]'))
    if (!document.getElementById(one.getAttribute('aria-labelledby'))) bad.push('labelled by nobody: ' + one.outerHTML.slice(0, 60));
  if (document.querySelectorAll('h1').length !== 1) bad.push('not one h1');
  if (!document.documentElement.lang) bad.push('no language');
  let level = 1;
  for (const one of document.querySelectorAll('h1, h2, h3')) { const n = +one.tagName[1]; if (n > level + 1) bad.push('a level left out'); level = n; }
  return bad;
}"""
"""What somebody who cannot see the page would miss."""

TOUCHING = """() => {
  const bad = [];
  let looked = 0;
  for (const svg of document.querySelectorAll('.chart svg')) {
    const words = [...svg.querySelectorAll('text')].filter(one => one.checkVisibility())
      .map(one => [one.getBoundingClientRect(), one.lastChild.data]);
    looked += words.length;
    words.forEach(([a, said], n) => { for (const [b, other] of words.slice(n + 1))
      if (a.left < b.right && b.left < a.right && a.top < b.bottom - 3 && b.top < a.bottom - 3) bad.push(`${said} / ${other}`); });
  }
  return [looked, bad];
}"""
"""How many words of charts can be seen, and which of them stand on each other."""
