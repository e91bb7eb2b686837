// A headless Chromium over a pipe: as much of its protocol as the tests of pages need.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export async function chromium(program) {
  const home = mkdtempSync(join(tmpdir(), 'virtc-browser-'));
  const child = spawn(program, ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run',
    '--disable-background-networking', '--disable-ipc-flooding-protection', '--disable-component-update', '--remote-debugging-pipe', `--user-data-dir=${home}`],
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const waiting = new Map(), listeners = new Set();
  let number = 0, rest = '';
  child.stdio[4].on('data', data => {
    const parts = (rest + data).split('\0');
    rest = parts.pop();
    for (const part of parts) {
      const message = JSON.parse(part);
      if (!message.id) { for (const listener of listeners) listener(message); continue; }
      const { resolve, reject } = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) reject(new Error(JSON.stringify(message.error))); else resolve(message.result);
    }
  });
  child.on('exit', code => { for (const { reject } of waiting.values()) reject(new Error(`Chromium ended with ${code}`)); });
  const call = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    waiting.set(++number, { resolve, reject });
    child.stdio[3].write(JSON.stringify({ id: number, method, params, sessionId }) + '\0');
  });

  // A tab: what it said on its console, and what it asked the network for, is kept.
  async function tab() {
    const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
    const said = [], fetched = [];
    let loaded = () => {};
    listeners.add(({ sessionId: of, method, params }) => {
      if (of !== sessionId) return;
      if (method === 'Runtime.exceptionThrown') said.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
      if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level)) said.push(params.entry.text);
      if (method === 'Runtime.consoleAPICalled' && ['error', 'warning'].includes(params.type)) said.push(params.args.map(a => a.value).join(' '));
      if (method === 'Network.requestWillBeSent') fetched.push(params.request.url);
      if (method === 'Page.loadEventFired') loaded();
    });
    const send = (method, params) => call(method, params, sessionId);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
    // Runs a function in the page; its arguments and its value are JSON.
    const run = async (what, ...given) => {
      const expression = `(${what})(...${JSON.stringify(given)})`;
      const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    return {
      said, fetched, send, run,
      size: (width, height, mobile = false) => send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile }),
      theme: name => send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: name }, { name: 'prefers-reduced-motion', value: 'reduce' }] }),
      async open(url) {
        const done = new Promise(resolve => { loaded = resolve; });
        await send('Page.navigate', { url });
        await done;
      },
      // Holds until a condition in the page does, at most some seconds.
      until: (condition, seconds = 20) => run(`(condition, ms) => new Promise((resolve, reject) => {
        const end = performance.now() + ms, holds = new Function('return ' + condition);
        const look = () => holds() ? resolve(true) : performance.now() > end ? reject(new Error('it never was so: ' + condition)) : requestAnimationFrame(look);
        look();
      })`, condition, seconds * 1000),
      async picture(path) {
        const { data } = await send('Page.captureScreenshot', { format: 'png' });
        (await import('node:fs')).writeFileSync(path, Buffer.from(data, 'base64'));
      },
    };
  }
  return {
    tab,
    async end() {
      const gone = new Promise(resolve => child.on('exit', resolve));
      call('Browser.close').catch(() => {});
      await gone;
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
