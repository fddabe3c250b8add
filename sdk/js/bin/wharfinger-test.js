#!/usr/bin/env node
// wharfinger-test [ARGUMENTS of node --test]: runs test/*.test.ts by node's own runner, its types
// stripped; what the types say is `tsc`'s to check.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { BuildError, runMain } from '../build/problem.js';
import { project, tool } from '../build/project.js';

await runMain('wharfinger-test', async (args) => {
  const what = project(process.cwd());
  const tests = readdirSync(join(what.root, 'test')).filter((file) => file.endsWith('.test.ts'));
  if (tests.length === 0) throw new BuildError('test/ has no file NAME.test.ts');
  const outdir = join(what.root, 'dist', 'test');
  rmSync(outdir, { recursive: true, force: true });
  mkdirSync(outdir, { recursive: true });
  const esbuild = await tool(what, 'esbuild');
  await esbuild.build({
    entryPoints: tests.map((file) => join(what.root, 'test', file)),
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    sourcemap: 'inline',
    logLevel: 'error',
  });
  const files = tests.map((file) => join(outdir, file.replace(/\.ts$/, '.mjs')));
  const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...args, ...files], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
});
