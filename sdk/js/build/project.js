// The author's project: what its package.json says. Tools come from the project, never from here.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { BuildError } from './problem.js';

/** The folder of this package. */
export const SDK = dirname(dirname(fileURLToPath(import.meta.url)));

/** `{ root, name, entry, engine }` of the project in this folder. */
export function project(root) {
  const file = join(root, 'package.json');
  if (!existsSync(file)) throw new BuildError(`${root} has no package.json: run it in a project's own folder`);
  const { name = '', main = 'src/plugin.js', wharfinger = {} } = json(file);
  const plain = name.split('/').pop();
  if (plain === '') throw new BuildError(`${file}: "name" is missing: it names the plugin`);
  if (!existsSync(join(root, main))) {
    throw new BuildError(`${file}: "main" is ${main}, and there is no such file: it is the module that exports the plugin`);
  }
  return { root, name: plain, entry: main, engine: wharfinger.engine ?? 'quickjs' };
}

/**
 * A package of the project's, or the command that installs the versions that this SDK is tested
 * with; of those `beside` it too, which it needs and does not name.
 */
export async function tool({ root }, name, ...beside) {
  const missing = [name, ...beside].filter((one) => installed(root, one) === undefined);
  if (missing.length > 0) {
    const versions = json(join(SDK, 'package.json')).peerDependencies;
    throw new BuildError(
      `${missing.join(' and ')} not installed: npm install, or where package.json does not name it, ` +
        `npm install --save-dev --save-exact ${missing.map((one) => `${one}@${versions[one]}`).join(' ')}`,
    );
  }
  // Not by `require.resolve`, which does not find what is for `import` alone.
  const folder = installed(root, name);
  const { exports, main } = json(join(folder, 'package.json'));
  return import(pathToFileURL(join(folder, exports?.import ?? main)));
}

/** The nearest folder `node_modules/NAME`, upwards. */
function installed(folder, name) {
  const here = join(folder, 'node_modules', name);
  if (existsSync(join(here, 'package.json'))) return here;
  return dirname(folder) === folder ? undefined : installed(dirname(folder), name);
}

function json(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new BuildError(`${file}: ${error.message}`);
  }
}
