// From a stack trace to the author's source, by the source map that the build leaves in the
// component: `globalThis.wharfingerSources`, read when something was thrown and not before.

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const OURS = '@wharfinger/sdk/';
// "    at name (file:12:5)" of QuickJS, "name@file:12:5" of SpiderMonkey.
const FRAME = /^\s*(?:at )?(.*?)\s*[@(]?[^@(\s]*:(\d+):(\d+)\)?$/;
const MOST = 16;

/** The frames of a stack that have a source: `{ text: 'name at src/plugin.js:7', own }`. */
export function placesOf(stack) {
  const map = globalThis.wharfingerSources;
  if (map === undefined) return [];
  const lines = decode(map.mappings);
  const frames = String(stack).split('\n').map((line) => FRAME.exec(line)).filter((frame) => frame !== null);
  return frames.slice(0, MOST).flatMap(([, name, line, column]) => {
    const segment = lines[line - 1]?.findLast(([from]) => from <= column - 1) ?? lines[line - 1]?.[0];
    if (segment === undefined) return [];
    const source = map.sources[segment[1]];
    return [{ text: `${name === '' ? '' : `${name} `}at ${source}:${segment[2] + 1}`, own: !source.startsWith(OURS) }];
  });
}

/** The mappings of a source map: of each line the segments `[column, source, line]`. */
export function decode(mappings) {
  const last = [0, 0, 0];
  return mappings.split(';').map((line) => {
    last[0] = 0;
    const segments = line === '' ? [] : line.split(',').map(numbers);
    return segments.flatMap((fields) => {
      for (const at of [0, 1, 2]) last[at] += fields[at] ?? 0;
      return fields.length > 1 ? [[...last]] : [];
    });
  });
}

// Base64 VLQ, the lowest five bits first.
function numbers(segment) {
  const read = [];
  let [value, shift] = [0, 0];
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if ((bits & 32) === 0) {
      read.push(value & 1 ? -(value >>> 1) : value >>> 1);
      [value, shift] = [0, 0];
    }
  }
  return read;
}
