// The author's module and what binds it to the contract, as one module of plain JavaScript, with
// the source map that leads a stack trace back. Nothing is minified: names are for reading.

import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

import { mustBePlugin } from '../src/plugin.js';
import { linesOf } from './mappings.js';
import { BuildError } from './problem.js';
import { SDK, tool } from './project.js';

/** `{ source, world }` of a project: what an engine makes a component of. */
export async function bundle(project) {
  const esbuild = await tool(project, 'esbuild');
  const plugin = await load(esbuild, project);
  const kind = plugin.kind === 'ipam' && plugin.released !== undefined ? 'remote' : plugin.kind;
  const [source, map] = await run(esbuild, project, glue(project, kind));
  return { source: `${source}\nglobalThis.wharfingerSources = ${JSON.stringify(map)};\n`, world: WORLDS[kind] };
}

const GLUE = 'wharfinger-glue.js';
const WORLDS = { ipam: 'ipam-plugin', remote: 'ipam-remote-plugin', policy: 'policy-plugin' };
const IMPORTS = {
  ipam: ['ledger', 'store', 'logger', 'node'],
  remote: ['ledger', 'store', 'logger', 'node'],
  policy: ['store', 'logger', 'node'],
};
const EXPORTS = {
  ipam: 'export const ipam = ipamExports(plugin, host);',
  remote: 'export const ipam = ipamExports(plugin, host);\nexport const ipamRemote = remoteExports(plugin, host);',
  policy: 'export const policy = policyExports(plugin, host);',
};

// Which kind of plugin it is only the module itself knows: it is loaded here, as it is when the
// component is made.
async function load(esbuild, project) {
  const [source] = await run(esbuild, project, `export { default } from ${entry(project)};`);
  try {
    const module = await import(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`);
    return mustBePlugin(module.default);
  } catch (error) {
    throw new BuildError(`${project.entry}: ${error.message}`);
  }
}

function glue(project, kind) {
  const version = contract();
  const sdk = (path) => JSON.stringify(join(SDK, 'src', path));
  const imports = IMPORTS[kind].map((name) => `import * as ${name} from 'wharfinger:plugin/${name}@${version}';`);
  return [
    `import ${sdk('guest/globals.js')};`,
    ...imports,
    `import plugin from ${entry(project)};`,
    `import { ipamExports, policyExports, remoteExports } from ${sdk('guest/exports.js')};`,
    `import { realHost } from ${sdk('guest/host.js')};`,
    `const host = realHost({ ${IMPORTS[kind].join(', ')} });`,
    EXPORTS[kind],
  ].join('\n');
}

const entry = ({ entry: path }) => JSON.stringify(`./${path}`);

/** The version of the contract: what the WIT itself says. */
export function contract() {
  const wit = readFileSync(join(SDK, 'wit', 'types.wit'), 'utf8');
  return /^package wharfinger:plugin@([\d.]+);/m.exec(wit)[1];
}

async function run(esbuild, project, contents) {
  const outfile = join(project.root, 'dist', `${project.name}.js`);
  try {
    const { outputFiles } = await esbuild.build({
      stdin: { contents, resolveDir: project.root, sourcefile: GLUE },
      absWorkingDir: project.root,
      bundle: true,
      write: false,
      outfile,
      format: 'esm',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      target: 'es2022',
      external: ['wharfinger:*'],
      sourcemap: 'external',
      sourcesContent: false,
      logLevel: 'silent',
    });
    const text = (end) => outputFiles.find(({ path }) => path.endsWith(end)).text;
    return [text('.js'), sources(project, dirname(outfile), JSON.parse(text('.map')))];
  } catch (error) {
    throw new BuildError(error.errors?.map(said).join('\n') ?? error.stack);
  }
}

function said({ text, location }) {
  return location === null ? text : `${location.file}:${location.line}: ${text}`;
}

// The author's files, as the author knows them; frames of ours tell nobody anything.
function sources({ root }, folder, { sources: files, mappings }) {
  const ours = (path) => path.startsWith(join(SDK, 'src', sep)) || path.endsWith(GLUE);
  const paths = files.map((file) => resolve(folder, file));
  const named = paths.map((path) => (ours(path) ? '' : relative(root, path)));
  return { sources: named, lines: linesOf(mappings, (source) => named[source] !== '') };
}
