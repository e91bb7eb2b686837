(() => {
  'use strict';
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const nav = document.querySelector('.tabs'), why = document.getElementById('why');
  if (!nav) return;
  document.body.classList.add('live');

  // What is there: the panels with their tabs, and what belongs to an origin: its tag, its element, and all that came of it.
  let panels = [], tabs = [], pinned = [], hovered = [];
  const belongs = new Map();
  function rebuild() {
    const open = panels.find(panel => !panel.hidden);
    panels = all('.panel');
    tabs = all('.tabs a');
    nav.setAttribute('role', 'tablist');
    tabs.forEach((tab, i) => {
      tab.setAttribute('role', 'tab');
      tab.setAttribute('aria-controls', panels[i].id);
      panels[i].setAttribute('role', 'tabpanel');
    });
    belongs.clear();
    for (const el of all('[data-c]')) {
      for (const c of el.dataset.c.split(' ')) {
        if (!belongs.has(c)) belongs.set(c, []);
        belongs.get(c).push(el);
      }
    }
    pinned = hovered = [];
    const again = open && panels.find(panel => panel.id === open.id);
    // Where two are compared, what differs is what one came for.
    const first = panels[tabs.findIndex(tab => tab.matches('.differs'))] || panels[0];
    if (first) show(again || first, Boolean(again));
  }
  // An element stands for all that is in it, but for the domain, in which everything is.
  function originsOf(el) {
    if (!el) return [];
    const whole = el.matches('.o') ? null : el.closest('.el');
    const inner = whole && whole.parentElement.closest('.el') ? all('.el', whole) : [];
    return [...new Set([el, ...inner].flatMap(one => one.dataset.c.split(' ')))];
  }
  const panelOf = el => el.closest('.panel');

  function paint(name, origins) {
    for (const el of all('.' + name + '[data-c]')) el.classList.remove(name);
    for (const c of origins) for (const el of belongs.get(c) || []) el.classList.add(name);
  }
  function tell(from) {
    const origins = hovered.length ? hovered : pinned;
    const outs = new Set(origins.flatMap(c => (belongs.get(c) || []).filter(el => el.matches('.o'))));
    const counts = new Map();
    for (const out of outs) counts.set(panelOf(out), (counts.get(panelOf(out)) || 0) + 1);
    tabs.forEach((tab, i) => { tab.querySelector('.lit').textContent = counts.get(panels[i]) || ''; });
    if (!origins.length) { why.textContent = ''; return; }
    const said = from && from.title ? from.title : words(origins);
    const where = [...counts].map(([panel, n]) => n + ' in ' + panel.querySelector('.panel-title').textContent);
    why.textContent = said + (where.length ? '  →  ' + where.join(', ') : '');
  }
  function words(origins) {
    return origins.slice(0, 1).map(c => {
      const tag = document.getElementById('c' + c);
      if (!tag) return '';
      const text = tag.textContent.replace(/\s+/g, ' ');
      return tag.closest('.defaults') ? 'default: ' + text : text;
    }).join(' and ');
  }
  const here = target => target instanceof Element ? target.closest('[data-c]') : null;
  function hover(el) {
    hovered = originsOf(el);
    paint('lit', hovered);
    tell(el);
  }
  document.addEventListener('pointerover', e => { if (e.pointerType !== 'touch') hover(here(e.target)); });
  document.addEventListener('focusin', e => hover(here(e.target)));
  document.addEventListener('focusout', () => hover(null));

  function show(panel, keep) {
    panels.forEach((other, i) => {
      other.hidden = other !== panel;
      tabs[i].setAttribute('aria-selected', String(other === panel));
      tabs[i].tabIndex = other === panel ? 0 : -1;
    });
    if (keep) return;
    panel.closest('.outputs').scrollTop = 0;
    const tab = tabs[panels.indexOf(panel)];
    tab.parentElement.scrollLeft = Math.max(0, tab.offsetLeft - 60);
  }
  // Scrolls the pane of an element, not the page, where panes scroll.
  function reveal(el) {
    const pane = el.closest('.source, .outputs');
    const box = el.getBoundingClientRect(), frame = pane.getBoundingClientRect();
    const scrolls = pane.scrollHeight > pane.clientHeight + 4 && getComputedStyle(pane).overflowY !== 'visible';
    const top = scrolls ? Math.max(frame.top, 0) : (document.querySelector('.live .tabs').getBoundingClientRect().bottom);
    const bottom = scrolls ? Math.min(frame.bottom, innerHeight) : innerHeight;
    if (box.top > top + 44 && box.bottom < bottom - 60) return;
    const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
    (scrolls ? pane : window).scrollBy({ top: box.top - top - (bottom - top) / 3, behavior });
  }
  function pin(el) {
    const origins = originsOf(el);
    pinned = origins;
    paint('pin', pinned);
    tell(el);
    if (!el) return;
    if (el.matches('.o')) {
      if (panelOf(el).hidden) show(panelOf(el));
      reveal(el);
      const cause = document.getElementById('c' + origins[0]);
      if (cause) reveal(cause);
    } else {
      const outs = origins.flatMap(c => (belongs.get(c) || []).filter(o => o.matches('.o')));
      const out = outs.find(o => !panelOf(o).hidden) || outs[0];
      if (out && panelOf(out).hidden) show(panelOf(out));
      if (out) reveal(out);
      reveal(el.matches('.el') ? el.querySelector('.c') : el);
    }
  }
  // What is pinned is named by the fragment. A page that keeps more there has it in front: `#x=…&at=o0-0-3`.
  let kept = '';
  const link = id => {
    const fragment = kept ? kept + (id ? '&at=' + id : '') : id;
    history.replaceState(null, '', fragment ? '#' + fragment : location.pathname + location.search);
  };
  function named() {
    const [, id] = location.hash.match(/^#(?:x=[\w-]+&at=)?([^=]*)$/) || [];
    try { return decodeURIComponent(id || ''); } catch (e) { return ''; }
  }
  document.addEventListener('click', e => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const tab = e.target.closest('.tabs a');
    if (tab) {
      e.preventDefault();
      show(panels[tabs.indexOf(tab)]);
      link(tab.hash.slice(1));
      return;
    }
    const el = here(e.target);
    if (!el || String(getSelection())) return;
    e.preventDefault();
    const anchor = el.matches('.el') ? el.querySelector('.c') : el;
    const again = originsOf(el).join() === pinned.join() && named() === anchor.id;
    link(again ? '' : anchor.id);
    pin(again ? null : el);
  });
  document.addEventListener('keydown', e => {
    const writes = e.target.matches('input, textarea');
    if (e.key === 'Escape' && !writes) { pin(null); link(''); }
    if (e.key === '/' && !writes) { e.preventDefault(); document.getElementById('find').focus(); }
    const at = tabs.indexOf(e.target);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (at >= 0 && step) {
      const next = tabs[(at + step + tabs.length) % tabs.length];
      next.click();
      next.focus();
    }
  });

  function follow() {
    const id = named();
    const target = id && document.getElementById(id);
    if (!target) return false;
    if (target.matches('.panel')) { show(target); return true; }
    if (target.matches('.n')) {
      const row = all('.source .c').find(c => c.getBoundingClientRect().bottom > target.getBoundingClientRect().top + 4);
      reveal(target);
      if (row) pin(row);
      return false;
    }
    const el = target.closest('[data-c]');
    if (el) pin(el);
    return Boolean(el) && el.matches('.o');
  }
  rebuild();
  follow();
  addEventListener('hashchange', follow);

  // Search: in all outputs and the source; Enter goes to the next place.
  const form = document.querySelector('.find'), input = document.getElementById('find'), found = document.getElementById('found');
  form.hidden = false;
  let ranges = [], at = -1;
  function look() {
    const text = input.value.toLowerCase();
    ranges = [];
    at = -1;
    if (text.length > 1) {
      for (const code of all('.code, .said, .defaults')) {
        const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT), nodes = [];
        let whole = '';
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          nodes.push([whole.length, node]);
          whole += node.data;
        }
        whole = whole.toLowerCase();
        let n = 0;
        for (let i = whole.indexOf(text); i >= 0; i = whole.indexOf(text, i + text.length)) {
          while (n + 1 < nodes.length && nodes[n + 1][0] <= i) n++;
          let m = n;
          while (m + 1 < nodes.length && nodes[m + 1][0] < i + text.length) m++;
          const range = new Range();
          range.setStart(nodes[n][1], i - nodes[n][0]);
          range.setEnd(nodes[m][1], Math.min(i + text.length - nodes[m][0], nodes[m][1].data.length));
          ranges.push(range);
        }
      }
    }
    if (window.Highlight) CSS.highlights.set('found', new Highlight(...ranges));
    found.textContent = text.length > 1 ? (ranges.length ? ranges.length + ' found' : 'nothing') : '';
  }
  input.addEventListener('input', look);
  form.addEventListener('submit', e => {
    e.preventDefault();
    if (!ranges.length) return;
    at = (at + 1) % ranges.length;
    const el = ranges[at].startContainer.parentElement, panel = panelOf(el);
    if (panel && panel.hidden) show(panel);
    reveal(el);
    found.textContent = at + 1 + ' of ' + ranges.length;
    hover(here(el));
  });
  // For a page whose contents change.
  window.virtc = {
    rebuild, hover, reveal, follow,
    // A part that was pinned is another one once the text is.
    keep: state => {
      const id = named(), same = !kept || kept === state;
      kept = state;
      link(same || id.startsWith('tab-') ? id : '');
    },
    kept: () => kept,
  };
  input.addEventListener('keydown', e => { if (e.key === 'Escape') { input.value = ''; look(); input.blur(); } });
})();
