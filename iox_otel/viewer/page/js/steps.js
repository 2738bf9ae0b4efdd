// Steps between the lines of a diagram of times.

export const SECOND = 1e9;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** The steps between a second and a day; below and above they are *factors* of a power of ten. */
const CLOCK = [[SECOND, [1, 2, 5, 10, 15, 30]], [MINUTE, [1, 2, 5, 10, 15, 30]], [HOUR, [1, 2, 3, 6, 12]]]
  .flatMap(([unit, steps]) => steps.map((step) => step * unit));

/** The least step (ns) that is round to a person, and *least* (ns) or more. */
export function roundStep(least, factors = [1, 2, 5]) {
  if (least > SECOND / 2 && least <= CLOCK[CLOCK.length - 1]) return CLOCK.find((step) => step >= least);
  const unit = least > SECOND ? DAY : 1;
  const power = 10 ** Math.max(Math.floor(Math.log10(least / unit)), 0);
  return [...factors, 10].find((factor) => factor * power * unit >= least) * power * unit;
}
