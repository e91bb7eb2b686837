// Uses the page that compiles while one types: node live.mjs CHROMIUM AXE|- PICTURES|- PAGE
// Prints a line for each fault; a line `# …` for what was measured.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from './chromium.mjs';

const [program, axe, pictures, page] = process.argv.slice(2);
const browser = await chromium(program);
const tab = await browser.tab();
let broken = false;
const tell = fault => { broken = true; console.log(fault); };
const hold = (condition, fault) => { if (!condition) tell(fault); };
const url = pathToFileURL(resolve(page)).href;

await tab.size(1440, 900);
await tab.theme('light');
await tab.open(url);
await tab.until(`document.querySelectorAll('.o').length > 20`);

const choose = (id, value) => tab.run((id, value) => {
  const select = document.getElementById(id);
  select.value = value;
  select.dispatchEvent(new Event('change', { bubbles: true }));
}, id, value);
const command = () => tab.run(() => document.querySelector('#tab-argv')?.textContent ?? '');
// What takes the compiler long is compiled a moment after the last key: then it is awaited.
const write = async text => {
  await tab.run(text => {
    const source = document.getElementById('source');
    source.value = text;
    source.dispatchEvent(new Event('input', { bubbles: true }));
  }, text);
  await tab.until(`document.body.dataset.text === String(document.getElementById('source').value.length)`);
};

// A key in each example: the time that the page takes of a processor, from the event to outputs that are laid out. What else the
// machine does is not in it.
await tab.send('Performance.enable', { timeDomain: 'threadTicks' });
const spent = async () => (await tab.send('Performance.getMetrics')).metrics.find(m => m.name === 'TaskDuration').value * 1000;
await tab.run(() => {
  document.getElementById('source').addEventListener('input', () => { document.body.offsetHeight; window.presses++; });
});
const examples = await tab.run(() => [...document.getElementById('example').options].slice(1).map(o => [o.textContent, o.value]));
hold(examples.length === 8, `there are ${examples.length} examples`);
for (const [name, text] of examples) {
  await write(text);
  const first = await command();
  hold(first.includes('-name guest='), `${name}: no command line`);
  const place = text.indexOf('<name>') + 6;
  await tab.run(place => { const s = document.getElementById('source'); s.focus(); s.setSelectionRange(place, place); }, place);
  await tab.run(() => { window.presses = 0; });
  const before = await spent();
  for (let i = 0; i < 24; i++) await tab.send('Input.dispatchKeyEvent', { type: 'char', text: 'x' });
  const each = (await spent() - before) / 24;
  hold(await tab.run(() => window.presses) === 24, `${name}: not all keys arrived`);
  await tab.until(`(document.querySelector('#tab-argv')?.textContent ?? '').includes('guest=${'x'.repeat(24)}')`);
  const took = await tab.run(() => document.body.dataset.took);
  console.log(`# ${name}: ${each.toFixed(1)} ms a key; the last one ${took} ms (compiler, all) by the clock`);
  hold(each < 100, `${name}: ${each} ms of a processor for a key`);
}

// The coloured copy lies under the text, line by line.
const desktop = examples.find(([name]) => name === 'desktop')[1];
await write(desktop);
const offset = await tab.run(() => [document.getElementById('source').scrollHeight, document.getElementById('code').parentElement.scrollHeight]);
hold(Math.abs(offset[0] - offset[1]) < 30, `the text is ${offset[0]} high, its colours ${offset[1]}`);
if (pictures !== '-') {
  for (const theme of ['light', 'dark']) {
    for (const [word, width, height, mobile] of [['phone', 390, 844, true], ['tablet', 820, 1180, true], ['desktop', 1440, 900, false]]) {
      await tab.theme(theme);
      await tab.size(width, height, mobile);
      await tab.picture(`${pictures}/live-${word}-${theme}.png`);
    }
  }
  await tab.size(1440, 900);
}
if (axe !== '-') {
  await tab.run(source => { (0, eval)(source); }, readFileSync(axe, 'utf8')).catch(fault => tell(`axe: ${fault.message}`));
  for (const theme of ['light', 'dark']) {
    await tab.theme(theme);
    const found = await tab.run(() => axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations.map(v =>
      [v.impact, v.id, v.help, v.nodes.slice(0, 3).map(n => n.html.slice(0, 120)).join(' | ')])));
    for (const [impact, ...rest] of found) if (['serious', 'critical'].includes(impact)) tell(`${theme}: axe: ${rest.join(': ')}`);
  }
}

// Where the caret is, is lit; a message leads into the text.
await tab.run(place => { const s = document.getElementById('source'); s.focus(); s.setSelectionRange(place, place); }, desktop.indexOf('<memballoon') + 3);
await tab.until(`document.querySelectorAll('.o.lit').length > 0`);
hold((await tab.run(() => [...document.querySelectorAll('.o.lit')].map(o => o.textContent).join())).includes('virtio-balloon'), 'the element under the caret lights up something else');

// What is chosen counts.
await choose('qemu', 'qemu-7.2');
hold(/QEMU 7\.2/.test(await tab.run(() => document.getElementById('facts').textContent)), 'QEMU 7.2 was not taken');
await choose('qemu', '');
await choose('target', 'libvirt@11.3');
hold(/libvirt@11\.3/.test(await tab.run(() => document.getElementById('facts').textContent)), 'the target was not taken');
await choose('target', 'standalone');
await choose('host', 'fedora-44');
hold(await tab.run(() => document.body.dataset.took.length > 0), 'the host was not taken');
await choose('host', '');

// Errors leave the outputs from before, and go away again.
const before = await command();
await write(desktop.replace('<vcpu>2</vcpu>', '<vcpu>two</vcpu>'));
hold(await tab.run(() => document.body.matches('.old') && document.getElementById('stale').textContent.includes('errors')), 'an error is not told');
hold(await command() === before, 'the outputs from before are gone');
await tab.until(`document.getElementById('tab-said').textContent.includes('vcpu')`);
await write('');
await write('<domain');
await write(desktop);
hold(await command() === before && !await tab.run(() => document.body.matches('.old')), 'it does not recover');

// The link brings all of it back in another tab.
await choose('qemu', 'qemu-9.2');
const here = await command();
await tab.until(`location.hash.startsWith('#x=')`);
await tab.run(() => { document.getElementById('share').click(); });
await tab.until(`document.getElementById('share').textContent !== 'Copy link'`);
const link = await tab.run(() => location.href);
console.log(`# the link of the desktop is ${link.length - url.length} characters`);
const other = await browser.tab();
await other.open(link);
await other.until(`document.querySelectorAll('.o').length > 20`);
hold(await other.run(() => document.querySelector('#tab-argv').textContent) === here, 'the link gives another command line');
hold(await other.run(() => document.getElementById('source').value) === desktop, 'the link gives another text');
for (const one of [tab, other]) {
  one.said.forEach(said => tell(`on its console: ${said}`));
  one.fetched.filter(asked => !asked.startsWith(url) && !asked.startsWith('blob:')).forEach(asked => tell(`asks for ${asked}`));
}
await browser.end();
process.exitCode = broken ? 1 : 0;
