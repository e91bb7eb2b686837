(() => {
  'use strict';
  const at = id => document.getElementById(id);
  const source = at('source'), code = at('code'), panels = at('panels'), tabs = at('tabs'), stale = at('stale');
  const page = window.virtc;
  const utf8 = new TextEncoder(), text = new TextDecoder();
  let compiler, module;

  // The compiler: a module of WebAssembly that reads and writes JSON.
  async function load() {
    const packed = Uint8Array.from(atob(at('module').textContent), c => c.charCodeAt(0));
    const bytes = await through(packed, new DecompressionStream('gzip'));
    module = await WebAssembly.compile(bytes);
    await start();
  }
  async function start() { compiler = (await WebAssembly.instantiate(module, {})).exports; }
  async function through(bytes, stream) {
    return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
  }
  function ask(question) {
    const bytes = utf8.encode(JSON.stringify(question));
    const where = compiler.question(bytes.length);
    new Uint8Array(compiler.memory.buffer, where, bytes.length).set(bytes);
    const length = compiler.answer();
    return JSON.parse(text.decode(new Uint8Array(compiler.memory.buffer, compiler.text(), length)));
  }

  const choice = id => at(id).value;
  const question = () => ({
    source: source.value,
    qemu: choice('qemu'),
    host: choice('host') === 'own' ? '' : choice('host'),
    facts: choice('host') === 'own' ? at('own-facts').value : '',
    target: choice('target'),
  });

  // What is shown, so that only what is new is put into the document.
  const shown = new Map();
  function put(element, html) {
    if (shown.get(element) === html) return false;
    shown.set(element, html);
    element.innerHTML = html;
    return true;
  }
  function renew(id, html) {
    const old = at('tab-' + id), made = document.createElement('template');
    made.innerHTML = html;
    const element = made.content.firstElementChild;
    element.hidden = !old || old.hidden;
    shown.set(element, html);
    if (old) old.replaceWith(element); else panels.append(element);
  }
  const waiting = new Map();
  const idle = window.requestIdleCallback || (work => setTimeout(work, 50));
  function finish() {
    if (!waiting.size) return;
    for (const [id, html] of waiting) renew(id, html);
    waiting.clear();
    page.rebuild();
    caret();
  }
  function show(answer) {
    at('name').textContent = answer.fine ? answer.name : 'virtc';
    at('title').textContent = answer.title;
    put(at('facts'), answer.facts);
    if (put(code, answer.source + '\n')) for (const link of code.querySelectorAll('a')) link.removeAttribute('href');
    put(at('defaults'), answer.defaults);
    // While there are errors, the outputs from before stay, and say so.
    const fresh = answer.panels.map(panel => panel.id);
    const kept = answer.fine ? [] : [...panels.children].filter(old => old.id !== 'tab-said').map(old => old.id.slice(4));
    document.body.classList.toggle('old', !answer.fine && kept.length > 0);
    stale.textContent = answer.fine ? '' : kept.length ? 'There are errors: see Messages. These are the outputs from before.' :
      'There are errors, so nothing came of this domain.';
    const wanted = [...kept, ...fresh.filter(id => !kept.includes(id))];
    for (const old of [...panels.children]) if (!wanted.includes(old.id.slice(4))) old.remove();
    const titles = new Map(answer.panels.map(panel => [panel.id, panel]));
    waiting.clear();
    wanted.forEach((id, n) => {
      const panel = titles.get(id), old = at('tab-' + id);
      if (panel && (!old || shown.get(old) !== panel.html)) {
        // What nobody looks at is put in when there is time.
        if (old && old.hidden) waiting.set(id, panel.html); else renew(id, panel.html);
      }
      const place = at('tab-' + id);
      if (panels.children[n] !== place) panels.insertBefore(place, panels.children[n]);
    });
    put(tabs, wanted.map(id => `<a href="#tab-${id}" id="to-${id}">${titles.get(id)?.title ?? at('tab-' + id).querySelector('.panel-title').textContent}<span class="lit"></span></a>`).join(''));
    page.rebuild();
    idle(finish);
  }

  let spent = 0, later = 0;
  function compile() {
    clearTimeout(later);
    const before = performance.now();
    let answer;
    try {
      answer = ask(question());
    } catch (fault) {
      // A module that stopped cannot go on: the next key begins with a new one.
      stale.textContent = 'The compiler has stopped, which is a fault of virtc: please report this domain (' + fault.message + ').';
      return start();
    }
    if (answer.refused) { stale.textContent = answer.refused; return; }
    const compiled = performance.now();
    show(answer);
    spent = performance.now() - before;
    at('took').textContent = `${(compiled - before).toFixed(1)} ms`;
    document.body.dataset.text = String(source.value.length);
    document.body.dataset.took = `${(compiled - before).toFixed(2)} ${spent.toFixed(2)}`;
    caret();
    keep();
  }
  // What takes long waits for the end of a word.
  function changed() {
    clearTimeout(later);
    if (spent < 60) compile(); else later = setTimeout(compile, 150);
  }

  // The link holds the text, compressed; it never leaves the browser by itself.
  const wordOf = bytes => btoa(Array.from(bytes, b => String.fromCharCode(b)).join('')).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const bytesOf = word => Uint8Array.from(atob(word.replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0));
  let keeping = 0;
  async function fragment() {
    const packed = await through(utf8.encode(JSON.stringify(question())), new CompressionStream('deflate-raw'));
    return 'x=' + wordOf(packed);
  }
  function keep() {
    clearTimeout(keeping);
    keeping = setTimeout(async () => { page.keep(await fragment()); }, 400);
  }
  async function restore() {
    const word = location.hash.match(/^#x=([\w-]+)/);
    if (!word) return false;
    try {
      const asked = JSON.parse(text.decode(await through(bytesOf(word[1]), new DecompressionStream('deflate-raw'))));
      source.value = String(asked.source ?? '');
      for (const id of ['qemu', 'target']) at(id).value = asked[id] || (id === 'target' ? 'standalone' : '');
      at('host').value = asked.facts ? 'own' : asked.host || '';
      at('own-facts').value = asked.facts || '';
      for (const id of ['qemu', 'host', 'target']) if (at(id).selectedIndex < 0) at(id).selectedIndex = 0;
      at('own').hidden = at('host').value !== 'own';
      return true;
    } catch (fault) {
      stale.textContent = 'The link is not whole: it holds no domain.';
      return false;
    }
  }
  at('share').addEventListener('click', async () => {
    clearTimeout(keeping);
    page.keep(await fragment());
    const button = at('share');
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = 'Copied';
    } catch (fault) {
      button.textContent = 'It is in the address bar';
    }
    setTimeout(() => { button.textContent = 'Copy link'; }, 2000);
  });

  // The text under the caret, or under the pointer, as the element of the coloured copy beneath.
  function elementAt(offset) {
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    let before = 0;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      before += node.data.length;
      if (offset < before) return node.parentElement.closest('[data-c]');
    }
    return null;
  }
  function caret() { if (document.activeElement === source) page.hover(elementAt(source.selectionStart)); }
  document.addEventListener('selectionchange', caret);
  source.addEventListener('pointermove', e => {
    const place = document.caretPositionFromPoint && document.caretPositionFromPoint(e.clientX, e.clientY);
    if (place && place.offsetNode === source) page.hover(elementAt(place.offset));
  });
  source.addEventListener('pointerleave', caret);
  function go(line) {
    const lines = source.value.split('\n').slice(0, line - 1);
    const offset = lines.reduce((sum, one) => sum + one.length + 1, 0);
    source.focus();
    source.setSelectionRange(offset, offset + (source.value.split('\n')[line - 1] || '').length);
    page.reveal(at('L' + line));
  }
  document.addEventListener('click', e => {
    const line = e.target.closest('a.line');
    if (!line) return;
    e.preventDefault();
    e.stopPropagation();
    go(Number(line.hash.slice(2)));
  }, true);

  // Whoever looks at something else than the text finds all of it new.
  for (const event of ['pointerdown', 'click', 'focusin', 'keydown']) {
    document.addEventListener(event, e => { if (e.target !== source) finish(); }, true);
  }
  source.addEventListener('input', changed);
  at('own-facts').addEventListener('input', changed);
  at('choices').addEventListener('submit', e => e.preventDefault());
  at('choices').addEventListener('change', e => {
    if (e.target.id === 'example') {
      if (!e.target.value) return;
      source.value = e.target.value;
      e.target.value = '';
    }
    at('own').hidden = at('host').value !== 'own';
    if (e.target.id !== 'own-facts') compile();
  });
  addEventListener('hashchange', async () => {
    if (location.hash.startsWith('#x=') && !location.hash.startsWith('#' + page.kept()) && await restore()) compile();
  });
  stale.textContent = 'The compiler is being made ready …';
  load().then(async () => {
    stale.textContent = '';
    if (!await restore()) source.value = at('example').options[1]?.value ?? '';
    compile();
    finish();
    page.follow();
  }, fault => { stale.textContent = 'This browser cannot run the compiler: ' + fault.message; });
})();
