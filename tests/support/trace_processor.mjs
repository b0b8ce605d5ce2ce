// Runs Perfetto's trace processor, as it is built for its web page, outside of a browser.
//
//   node trace_processor.mjs FOLDER REQUEST...
//
// FOLDER holds engine_bundle.js and its .wasm files.  Each REQUEST is a file with the bytes of one
// TraceProcessorRpcStream; what comes back is written to REQUEST.reply.

import fs from 'fs';
import path from 'path';
import vm from 'vm';

const [folder, ...requests] = process.argv.slice(2);
const host = process;
const file = name => fs.readFileSync(path.join(folder, path.basename(String(name))));

// The bundle asks for a worker of a browser, and does not know that it runs anywhere else.
delete globalThis.process;
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = function () {};
globalThis.importScripts = () => {};
globalThis.location = {href: 'file:///engine_bundle.js', search: ''};
globalThis.fetch = async name =>
  new Response(file(name), {headers: {'Content-Type': 'application/wasm'}});
globalThis.XMLHttpRequest = class {
  open(_, name) { this.name = name; }
  send() {
    const bytes = file(this.name);
    this.response = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    this.status = 200;
    this.onload?.();
  }
};
console.log = console.warn = () => {};

vm.runInThisContext(file('engine_bundle.js').toString(), {filename: 'engine_bundle.js'});
const replies = [];
const port = {onmessage: null, postMessage: bytes => replies.push(Buffer.from(bytes))};
globalThis.onmessage({data: port});

// The engine is compiled by now; what waits for that runs before the next turn.
await new Promise(resolve => setTimeout(resolve, 0));
for (const request of requests) {
  port.onmessage({data: new Uint8Array(fs.readFileSync(request))});
  fs.writeFileSync(`${request}.reply`, Buffer.concat(replies));
  replies.length = 0;
}
host.exit(0);
