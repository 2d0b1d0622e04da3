"""What the browser does by itself: the slider between image and map, the value under the pointer, another drawing."""

from __future__ import annotations

SCRIPT = """
<script>
(() => {
  const cache = new WeakMap();
  let split = 0;
  let last = null, wanted = null, waiting = false, drawnLast = null;
  const gridOf = (view) => {
    if (!cache.has(view)) cache.set(view, fetch(view.dataset.values).then((r) => r.json()).then((grid) => {
      const bytes = Uint8Array.from(atob(grid.data), (c) => c.charCodeAt(0));
      return { ...grid, values: new Float32Array(bytes.buffer) };
    }));
    return cache.get(view);
  };
  const show = async (frame, u, v) => {
    const view = frame.closest('.shisen-view');
    const out = view.querySelector('.shisen-probe');
    const dot = frame.querySelector('.shisen-dot');
    dot.style.display = 'block';
    dot.style.left = `${100 * u}%`;
    dot.style.top = `${100 * v}%`;
    frame.dataset.u = u;
    frame.dataset.v = v;
    let grid;
    try { grid = await gridOf(view); } catch (gone) { cache.delete(view); return; }
    if (frame.dataset.u != u || frame.dataset.v != v) return;
    const [height, width] = grid.image;
    const [left, top, right, bottom] = grid.box;
    const a = (u * width - left) / (right - left), b = (v * height - top) / (bottom - top);
    if (a < 0 || a >= 1 || b < 0 || b >= 1) { out.textContent = out.dataset.unseen; return; }
    const value = grid.values[Math.floor(b * grid.h) * grid.w + Math.floor(a * grid.w)];
    out.textContent = `${value.toPrecision(3)} ${grid.unit}`;
  };
  const point = (event) => {
    const frame = event.target.closest && event.target.closest('.shisen-frame');
    if (!frame) return;
    const box = frame.getBoundingClientRect();
    show(frame, Math.min(.9999, Math.max(0, (event.clientX - box.left) / box.width)),
         Math.min(.9999, Math.max(0, (event.clientY - box.top) / box.height)));
  };
  document.addEventListener('pointermove', point);
  document.addEventListener('pointerdown', point);
  document.addEventListener('keydown', (event) => {
    const frame = event.target.closest && event.target.closest('.shisen-frame');
    const by = { ArrowLeft: [-.02, 0], ArrowRight: [.02, 0], ArrowUp: [0, -.02], ArrowDown: [0, .02] }[event.key];
    if (!frame || !by) return;
    event.preventDefault();
    const at = (key, step) => Math.min(.9999, Math.max(0, parseFloat(frame.dataset[key] || '.5') + step));
    show(frame, at('u', by[0]), at('v', by[1]));
  });
  const put = () => {
    const over = document.querySelector('#shisen-view .shisen-over');
    if (over && over !== drawnLast) {
      drawnLast = over;
      if (last && !over.getAttribute('src').endsWith(`?${new URLSearchParams(last)}`)) {
        wanted = last;
        fetchDrawing();
      }
    }
    document.documentElement.style.setProperty('--shisen-split', `${split}%`);
    document.querySelectorAll('.shisen-split').forEach((s) => { if (s.value != split) s.value = split; });
  };
  document.addEventListener('input', (event) => {
    if (event.target.matches && event.target.matches('.shisen-split')) { split = event.target.value; put(); }
  });
  document.addEventListener('click', (event) => {
    const press = event.target.closest && event.target.closest('.shisen-press');
    if (press) document.querySelector(`#${press.dataset.press}`).click();
  });
  // a quick method's map of another class comes the short way, before all the words around it do
  const shorter = (rank) => {
    const view = document.querySelector('#shisen-view .shisen-view');
    if (!view || !view.dataset.rank) return;
    const over = view.querySelector('.shisen-over');
    const how = new URLSearchParams(over.getAttribute('src').split('?')[1]);
    how.set('rank', rank);
    const next = over.cloneNode();
    next.alt = '…';
    next.src = `${view.dataset.rank}?${how}`;
    next.decode().then(() => { if (over.isConnected) { drawnLast = next; over.replaceWith(next); } }, () => {});
  };
  document.addEventListener('click', (event) => {
    const answer = event.target.closest && event.target.closest('[id^=shisen-answer-]');
    if (answer) shorter(answer.id.split('-').pop());
  }, true);  // before the page's own work on the click
  // images of the page's own parts come without a name: they take that of their card, or of their tab
  document.addEventListener('load', (event) => {
    const image = event.target;
    if (!image.matches || !image.matches('.shisen-figure img') || image.alt) return;
    const headings = [...image.closest('.shisen-card').querySelectorAll('.prose')]
      .filter((e) => e.innerText.trim() && e.compareDocumentPosition(image) & Node.DOCUMENT_POSITION_FOLLOWING);
    const tab = [...document.querySelectorAll('[role=tab][aria-selected=true]')].pop();
    image.alt = (headings.pop() || tab || document.querySelector('h1')).innerText.trim();
    const button = image.closest('button');
    if (button) button.setAttribute('aria-label', image.alt);
  }, true);
  document.addEventListener('DOMContentLoaded', () => {
    new MutationObserver(put).observe(document.body, { childList: true, subtree: true });
  });
  // one request at a time: while a slider is dragged, what was wanted meanwhile is left out but for the last
  const fetchDrawing = () => {
    const over = document.querySelector('#shisen-view .shisen-over');
    if (!wanted || waiting || !over) return;
    const address = `${over.getAttribute('src').split('?')[0]}?${new URLSearchParams(wanted)}`;
    wanted = null;
    waiting = true;
    const next = over.cloneNode();
    const done = (ok) => {
      waiting = false;
      if (ok && over.isConnected) { drawnLast = next; over.replaceWith(next); }
      if (!ok) document.querySelector('#shisen-redraw').click();
      fetchDrawing();
    };
    next.src = address;
    next.decode().then(() => done(true), () => done(false));  // decoded before it is shown: nothing flickers
  };
  window.shisenDraw = (style, colormap, alpha) => { last = wanted = { style, colormap, alpha }; fetchDrawing(); };
})();
</script>
"""

DRAW = "(style, colormap, alpha) => { window.shisenDraw(style, colormap, alpha); }"
"""What the browser runs when the drawing was changed: it fetches the same map drawn differently."""

LATER = "async (...given) => { await new Promise((go) => setTimeout(go, 400)); return given; }"
"""What the browser runs before something that need not be there at once: the drawing comes first."""
