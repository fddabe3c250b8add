// From a stack trace to the author's source, by what the build leaves in the component:
// `globalThis.wharfingerSources`, read when something was thrown and not before. Of each line of
// the bundle it has "COLUMN SOURCE LINE" of each place where another line of source begins, of the
// author's files alone.

// "    at name (file:12:5)" of QuickJS, "name@file:12:5" of SpiderMonkey.
const FRAME = /^\s*(?:at )?(.*?)\s*[@(]?[^@(\s]*:(\d+):(\d+)\)?$/;
const MOST = 16;

/** The frames of a stack that have a source: 'name at src/plugin.js:7', the innermost first. */
export function placesOf(stack) {
  const map = globalThis.wharfingerSources;
  if (map === undefined) return [];
  const frames = String(stack).split('\n').map((line) => FRAME.exec(line)).filter((frame) => frame !== null);
  return frames.slice(0, MOST).flatMap(([, name, line, column]) => {
    const places = (map.lines[line - 1] ?? '').split(',').map((place) => place.split(' ').map(Number));
    const [, source, at] = places.findLast(([from]) => from < column) ?? places[0];
    return source === undefined ? [] : [`${name === '' ? '' : `${name} `}at ${map.sources[source]}:${at}`];
  });
}
