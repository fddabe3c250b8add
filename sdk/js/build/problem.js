// What an author can mend: said in a line, without a stack.

export class BuildError extends Error {}

/** Runs a program's `main`; says what an author can mend, and nothing more. */
export async function runMain(name, main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof BuildError ? error.message : error.stack}\n`);
    process.exitCode = 1;
  }
}
