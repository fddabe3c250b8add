// The mappings of a source map, as a component carries them: read by line, without arithmetic.

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/**
 * Of each line "COLUMN SOURCE LINE,..." of each place where another line of source begins; of the
 * sources that are `wanted`, by number.
 */
export function linesOf(mappings, wanted) {
  const last = [0, 0, 0];
  return mappings.split(';').map((line) => {
    last[0] = 0;
    const places = (line === '' ? [] : line.split(',').map(numbers)).flatMap((fields) => {
      for (const at of [0, 1, 2]) last[at] += fields[at] ?? 0;
      return fields.length > 1 ? [[...last]] : [];
    });
    const begins = ([, source, at], n) => n === 0 || places[n - 1][1] !== source || places[n - 1][2] !== at;
    return places.filter(begins).filter(([, source]) => wanted(source)).map(([column, source, at]) => `${column} ${source} ${at + 1}`).join();
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
