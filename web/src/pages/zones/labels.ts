/**
 * Places names beside points of a map so that no name covers another name or a point. Lengths are in
 * the units of the map, y grows downwards.
 */

/** A point that is to have a name. */
export interface Point {
  x: number;
  y: number;
  /** How wide its name is. */
  width: number;
}

/** Where a name stands: the middle of its box. */
export interface Label {
  x: number;
  y: number;
  /** Whether it is so far off that a line has to lead to it. */
  isFar: boolean;
}

export interface Sizes {
  /** How high a name is. */
  height: number;
  /** Of the mark of a point. */
  radius: number;
  /** What names stay within. */
  room: Box;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/**
 * The places of names, in the order of their points; null where there is no room for one. Names
 * stand at the right of their points where they can, and otherwise as near as they can.
 */
export function placeLabels(points: Point[], sizes: Sizes): (Label | null)[] {
  const { height, radius, room } = sizes;
  const marks = points.map(({ x, y }) => around(x, y, 2 * radius, 2 * radius));
  const taken: Box[] = [];
  return points.map((point) => {
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const distance = radius * GAP + step * height * STEP;
      for (const [east, south] of step === 0 ? NEAR : ALL_ROUND) {
        const x = point.x + east * distance + (Math.sign(round(east)) * point.width) / 2;
        const y = point.y + south * distance + (Math.sign(round(south)) * height) / 2;
        const box = around(x, y, point.width, height);
        const isFree = !taken.some((other) => meet(box, other)) && !marks.some((m) => meet(box, m));
        if (isFree && isWithin(box, room)) {
          taken.push(box);
          return { x, y, isFar: step > 0 };
        }
      }
    }
    return null;
  });
}

/** About how wide a text is in a font without serifs of this size. */
export function textWidth(text: string, size: number): number {
  return [...text].reduce((sum, sign) => sum + (sign > LAST_NARROW ? 1 : 0.58) * size, 0);
}

function around(x: number, y: number, width: number, height: number): Box {
  return { left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2 };
}

export function meet(one: Box, other: Box): boolean {
  return (
    one.left < other.right &&
    other.left < one.right &&
    one.top < other.bottom &&
    other.top < one.bottom
  );
}

function isWithin(box: Box, room: Box): boolean {
  return (
    box.left >= room.left &&
    box.right <= room.right &&
    box.top >= room.top &&
    box.bottom <= room.bottom
  );
}

/** Cosines of right angles are not quite 0. */
const round = (value: number) => (Math.abs(value) < 1e-9 ? 0 : value);

/** Directions, east and south, the best first. */
const NEAR: [number, number][] = [
  [1, 0],
  [-1, 0],
  [0, -1],
  [0, 1],
];
const ALL_ROUND = Array.from({ length: 16 }, (_, index): [number, number] => {
  // Alternately above and below, beginning at the east.
  const turn = Math.ceil(index / 2) * (index % 2 ? 1 : -1);
  const angle = (turn * Math.PI) / 8;
  return [Math.cos(angle), Math.sin(angle)];
});
/** How far from a point its name begins at least, in radii of its mark. */
const GAP = 1.4;
/** How much farther each next attempt is, in heights of a name. */
const STEP = 0.7;
const STEPS_MAX = 14;
/** Signs after this one (CJK and what follows) are as wide as high. */
const LAST_NARROW = '\u2e7f';
