import { expect, test } from '@playwright/test';
// Where the sources are seen from here, and from target/panel, where this runs.
import { meet, placeLabels, textWidth, type Box, type Point } from '../../web/src/pages/zones/labels';

const room = { left: -180, top: -78, right: 180, bottom: 60 };
const desk = { size: 4, radius: 1.7 };
const phone = { size: 12, radius: 5 };

function named(name: string, longitude: number, latitude: number, size: number): Point {
  return { x: longitude, y: -latitude, width: textWidth(name, size) };
}

/** Boxes of names that have a place. */
function boxes(points: Point[], { size, radius }: typeof desk): Box[] {
  const height = size * 1.25;
  return placeLabels(points, { height, radius, room }).flatMap((label, index) => {
    const half = (points[index]?.width ?? 0) / 2;
    if (!label) return [];
    const { x, y } = label;
    return [{ left: x - half, right: x + half, top: y - height / 2, bottom: y + height / 2 }];
  });
}

function europe(size: number): Point[] {
  return [
    named('frankfurt 40 %', 8.7, 50.1, size),
    named('amsterdam 12 %', 4.9, 52.4, size),
    named('berlin 77 %', 13.4, 52.5, size),
    named('paris 3 %', 2.3, 48.9, size),
    named('london 55 %', -0.1, 51.5, size),
    named('zurich 9 %', 8.5, 47.4, size),
    named('vienna 100 %', 16.4, 48.2, size),
  ];
}

for (const [where, sizes] of Object.entries({ desk, phone })) {
  test(`names of zones near each other do not overlap, ${where}`, () => {
    const points = europe(sizes.size);
    const placed = boxes(points, sizes);
    expect(placed).toHaveLength(points.length);
    for (const [index, box] of placed.entries()) {
      for (const other of placed.slice(index + 1)) expect(meet(box, other)).toBe(false);
      for (const { x, y } of points) {
        const { radius } = sizes;
        const mark = { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius };
        expect(meet(box, mark)).toBe(false);
      }
      expect(box.left >= room.left && box.right <= room.right).toBe(true);
      expect(box.top >= room.top && box.bottom <= room.bottom).toBe(true);
    }
  });
}

test('a name alone stands at the right of its point, at the eastern edge at its left', () => {
  const height = 5;
  const [alone] = placeLabels([named('Lagos', 3, 6, 4)], { height, radius: 2, room });
  expect(alone).toMatchObject({ y: -6, isFar: false });
  expect(alone?.x).toBeGreaterThan(3);
  const [edge] = placeLabels([named('Suva', 178, -18, 4)], { height, radius: 2, room });
  expect(edge?.x).toBeLessThan(178);
});

test('zones in one place have names in different ones, as long as there is room', () => {
  const same = Array.from({ length: 6 }, (_, index) => named(`rack ${index}`, 10, 50, 4));
  const labels = placeLabels(same, { height: 5, radius: 2, room });
  expect(new Set(labels.map((label) => `${label?.x} ${label?.y}`)).size).toBe(same.length);
  expect(labels.filter((label) => label?.isFar).length).toBeGreaterThan(0);
  const many = Array.from({ length: 400 }, (_, index) => named(`rack ${index}`, 10, 50, 12));
  expect(placeLabels(many, { height: 15, radius: 5, room })).toContain(null);
});
