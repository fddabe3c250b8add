#!/usr/bin/env node
// wharfinger-build [--engine quickjs|spidermonkey]: makes dist/NAME.wasm of the project in this
// folder.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { bundle } from '../build/bundle.js';
import { component } from '../build/engine.js';
import { BuildError, runMain } from '../build/problem.js';
import { project } from '../build/project.js';

function options(args) {
  try {
    return parseArgs({ args, options: { engine: { type: 'string' } } }).values;
  } catch (error) {
    throw new BuildError(`${error.message}\nusage: wharfinger-build [--engine quickjs|spidermonkey]`);
  }
}

await runMain('wharfinger-build', async (args) => {
  const given = project(process.cwd());
  const what = { ...given, ...options(args) };
  const wasm = await component(what, await bundle(what));
  mkdirSync(join(what.root, 'dist'), { recursive: true });
  writeFileSync(join(what.root, 'dist', `${what.name}.wasm`), wasm);
  process.stdout.write(`dist/${what.name}.wasm: ${Math.ceil(wasm.length / 1024)} KiB, ${what.engine}\n`);
});
