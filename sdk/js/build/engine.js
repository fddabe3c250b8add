// The two engines that a component can carry: QuickJS, small; SpiderMonkey, ten times as large.

import { join } from 'node:path';

import { BuildError } from './problem.js';
import { SDK, tool } from './project.js';

const ENGINES = { quickjs, spidermonkey };

/** The component of this source, by the project's engine. */
export function component(project, { source, world }) {
  const engine = ENGINES[project.engine];
  if (engine === undefined) {
    throw new BuildError(`there is no engine ${project.engine}: there are ${Object.keys(ENGINES).join(' and ')}`);
  }
  return engine(project, source, world);
}

async function quickjs(project, jsSource, world) {
  const { componentize } = await tool(project, 'componentize-qjs');
  // No WASI reaches the component; the async runtime wants a newer host than there need be.
  const settings = { stubWasi: true, optSize: true, sync: true };
  const made = await componentize({ witPath: join(SDK, 'wit'), world, jsSource, ...settings });
  return made.component;
}

async function spidermonkey(project, source, world) {
  const [engine, shim] = ['@bytecodealliance/componentize-js', '@bytecodealliance/preview2-shim'];
  const { componentize } = await tool(project, engine, shim);
  const disableFeatures = ['stdio', 'random', 'clocks', 'http', 'fetch-event'];
  const made = await componentize(source, { witPath: join(SDK, 'wit'), worldName: world, disableFeatures });
  return made.component;
}
