// Looks at pages of `virtc explain --html` in a browser: node pages.mjs CHROMIUM AXE|- PICTURES|- PAGE…
// Prints a line for each fault; nothing if all is well. With a folder for pictures it leaves one of each page in both themes and
// three widths, for a person to look at.
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from './chromium.mjs';

const [program, axe, pictures, ...pages] = process.argv.slice(2);
const widths = [['phone', 390, 844, true], ['tablet', 820, 1180, true], ['desktop', 1440, 900, false]];

// Each part of each output leads to what caused it, and each cause to what came of it: by click, and by the name in the fragment.
function links() {
  const faults = [], all = query => [...document.querySelectorAll(query)];
  const click = el => el.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }));
  const escape = () => document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
  for (const out of all('.o')) {
    click(out);
    for (const c of out.dataset.c.split(' ')) {
      const cause = document.getElementById('c' + c);
      if (!cause || !cause.matches('.pin')) faults.push(`${out.id} does not light up its cause c${c}`);
    }
    if (!out.matches('.pin')) faults.push(`${out.id} is not lit itself`);
    if (location.hash !== '#' + out.id) faults.push(`${out.id} has the address ${location.hash}`);
    if (out.closest('.panel').hidden) faults.push(`${out.id} is pinned and not to be seen`);
    escape();
  }
  for (const cause of all('.c')) {
    click(cause);
    const lit = all('.o.pin').filter(out => out.dataset.c.split(' ').includes(cause.dataset.c));
    const wanted = all('.o').filter(out => out.dataset.c.split(' ').includes(cause.dataset.c));
    if (!wanted.length || lit.length !== wanted.length) faults.push(`${cause.id} lights up ${lit.length} of ${wanted.length}`);
    if (!lit.some(out => !out.closest('.panel').hidden)) faults.push(`${cause.id}: nothing of it is to be seen`);
    escape();
  }
  if (document.querySelector('.pin')) faults.push('something stays pinned');
  return { faults, outs: all('.o').length, causes: all('.c').length };
}

// What a person would stumble over: a page wider than the window, a head that is not there, text that stands on text.
function laidOut() {
  const faults = [];
  if (document.documentElement.scrollWidth > innerWidth) faults.push(`it is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`);
  for (const query of ['h1', '.source .code, .differences', '.tabs', '.panel:not([hidden]) .code']) {
    const el = document.querySelector(query);
    const box = el && el.getBoundingClientRect();
    if (!box || box.width < 20 || box.height < 10) faults.push(`${query} is not to be seen`);
    else if (query === 'h1' && (box.top < 0 || box.top > 120)) faults.push(`the title is at ${box.top}`);
  }
  return faults;
}

const browser = await chromium(program);
let broken = false;
for (const page of pages) {
  const tell = fault => { broken = true; console.log(`${basename(page)}: ${fault}`); };
  const tab = await browser.tab();
  const url = pathToFileURL(resolve(page)).href;
  for (const [word, width, height, mobile] of widths) {
    for (const theme of ['light', 'dark']) {
      await tab.size(width, height, mobile);
      await tab.theme(theme);
      await tab.open(url);
      for (const fault of await tab.run(laidOut)) tell(`${word}, ${theme}: ${fault}`);
      if (pictures !== '-') await tab.picture(`${pictures}/${basename(page, '.html')}-${word}-${theme}.png`);
      if (axe !== '-' && word !== 'tablet') {
        await tab.run(`source => { (0, eval)(source); }`, readFileSync(axe, 'utf8')).catch(() => tab.send('Page.setBypassCSP', { enabled: true }));
        const found = await tab.run(`() => axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations.map(v =>
          [v.impact, v.id, v.help, v.nodes.slice(0, 3).map(n => n.html.slice(0, 120)).join(' | ')]))`);
        for (const [impact, ...rest] of found) if (['serious', 'critical'].includes(impact)) tell(`${word}, ${theme}: axe: ${rest.join(': ')}`);
      }
    }
  }
  const { faults, outs, causes } = await tab.run(links);
  faults.slice(0, 10).forEach(tell);
  if (outs < 20 || causes < 5) tell(`only ${outs} parts and ${causes} causes`);
  // The address of a part, opened by itself.
  const last = await tab.run(() => [...document.querySelectorAll('.o')].pop().id);
  await tab.open('about:blank');
  await tab.open(`${url}#${last}`);
  if (!await tab.run(id => document.getElementById(id).matches('.pin'), last)) tell(`the address #${last} pins nothing`);
  // On a phone, where the source stands above the outputs: the part is to be seen, and not behind it.
  const middle = await tab.run(() => { const all = [...document.querySelectorAll('.o')]; return all[all.length >> 1].id; });
  await tab.size(...widths[0].slice(1));
  for (const id of [middle, last]) {
    await tab.open('about:blank');
    await tab.open(`${url}#${id}`);
    await tab.until(`document.getElementById('${id}').matches('.pin')`);
    const [top, above] = await tab.run(id => [document.getElementById(id), document.querySelector('.tabs')].map(el => el.getBoundingClientRect()).map((b, i) => i ? b.bottom : b.top), id);
    if (top < above - 1 || top > 844) tell(`on a phone, #${id} is at ${top}, and the outputs are seen from ${above} to 844`);
    if (pictures !== '-') await tab.picture(`${pictures}/${basename(page, '.html')}-phone-${id}.png`);
  }
  tab.said.forEach(said => tell(`on its console: ${said}`));
  tab.fetched.filter(asked => !asked.startsWith(url) && asked !== 'about:blank').forEach(asked => tell(`asks for ${asked}`));
}
await browser.end();
process.exitCode = broken ? 1 : 0;
