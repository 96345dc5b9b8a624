// Shared by the programs here: prints what holds, stops at what does not.
export function checks(name) {
  return (holds, what) => {
    if (!holds) {
      console.error(`FAILED ${name}: ${what}`);
      process.exit(1);
    }
    console.log(`ok ${name}: ${what}`);
  };
}

// What was thrown, or undefined.
export async function thrown(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
}
