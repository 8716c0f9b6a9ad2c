import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

interface Series {
  label: string;
  /** One value for each time; null where nothing is known. */
  values: (number | null)[];
}

/** A moment worth a line. */
export interface Mark {
  atS: number;
  label: string;
}

interface Props {
  /** What is drawn, for those who cannot see it. */
  label: string;
  /** Seconds, since the epoch or since a start. */
  times: number[];
  series: Series[];
  axis: 'clock' | 'seconds';
  range?: [number, number];
  height?: number;
  /** What the axis of time begins and ends with; without it, what is known. */
  span?: [number, number];
  /** Lines from top to bottom. */
  marks?: Mark[];
  /** Charts with the same word here show the same moment under the pointer. */
  together?: string;
}

/** Lines over time. What it shows last is said in its label, too. */
export function TimeChart(props: Props) {
  const { label, times, series, axis, range, height = 140, span, marks = [], together } = props;
  const drawn = useRef({ span, marks });
  drawn.current = { span, marks };
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme('light');
  const names = series.map((one) => one.label).join('|');
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const ink = scheme === 'dark' ? '#a6a7ab' : '#5c5f66';
    const grid = { stroke: scheme === 'dark' ? '#2c2e33' : '#e9ecef', width: 1 };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: names.includes('|') },
        cursor: { y: false, ...(together ? { sync: { key: together } } : {}) },
        hooks: { drawClear: [(self) => drawMarks(self, drawn.current.marks, MARK)] },
        scales: {
          x:
            axis === 'clock'
              ? { time: true, range: (self, min, max) => drawn.current.span ?? lately(self, min, max) }
              : { time: false },
          y: range ? { range } : { range: fromZero },
        },
        axes: [
          {
            stroke: ink,
            grid,
            ticks: grid,
            size: 28,
            values: axis === 'clock' ? onTheClock : inSeconds,
          },
          { stroke: ink, grid, ticks: grid, size: 40 },
        ],
        series: [
          axis === 'clock' ? { value: '{HH}:{mm}:{ss}' } : { label: 's' },
          ...names.split('|').map((name, index) => ({
            label: name,
            stroke: COLOURS[index % COLOURS.length],
            width: 1.5,
            spanGaps: false,
          })),
        ],
      },
      [[], ...names.split('|').map(() => [])] as uPlot.AlignedData,
      element,
    );
    chart.current = plot;
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
      chart.current = null;
    };
  }, [axis, height, names, range?.[0], range?.[1], scheme, together]);
  useEffect(() => {
    const values = series.map((one) => one.values);
    chart.current?.setData(wide(times, values) as uPlot.AlignedData);
  });
  const last = series.map((one) => `${one.label} ${one.values.at(-1) ?? 'unknown'}`).join(', ');
  const highest = series.map((one) => `${one.label} ${most(one.values) ?? 'unknown'}`).join(', ');
  const seen = marks.length ? `; changes: ${marks.map((mark) => mark.label).join(', ')}` : '';
  return (
    <div
      ref={box}
      role="img"
      aria-label={`${label}; last: ${last}; highest: ${highest}${seen}`}
      style={{ minWidth: 0 }}
    />
  );
}

/** Times of day; the day itself at its beginning. */
function onTheClock(_: uPlot, moments: number[], __: number, ___: number, step: number): string[] {
  const two = (n: number) => String(n).padStart(2, '0');
  return moments.map((at) => {
    const moment = new Date(at * 1000);
    const [hour, minute, second] = [moment.getHours(), moment.getMinutes(), moment.getSeconds()];
    if (hour + minute + second === 0) return `${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
    const time = `${two(hour)}:${two(minute)}`;
    return step < 60 ? `${time}:${two(second)}` : time;
  });
}

/** The highest that is known. */
function most(values: (number | null)[]): number | null {
  return values.reduce((high, v) => (v != null && (high == null || v > high) ? v : high), null);
}

function drawMarks(plot: uPlot, marks: Mark[], colour: string) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { atS } of marks) {
    const x = Math.round(plot.valToPos(atS, 'x', true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Of a single moment the library would draw years: an unknown one two minutes before is added. */
function wide(times: number[], values: (number | null)[][]): (number | null)[][] {
  const only = times.length === 1 ? times[0] : undefined;
  if (only === undefined) return [times, ...values];
  return [[only - 120, only], ...values.map((one) => [null, ...one])];
}

/** Two minutes at least: a line of seconds says nothing. */
const lately = (_: uPlot, min: number | null, max: number | null): [number, number] => {
  const end = max ?? Date.now() / 1000;
  return [Math.min(min ?? end, end - 120), end];
};
const fromZero = (_: uPlot, __: number, max: number): [number, number] => [
  0,
  Math.max(1, max * 1.15),
];
const inSeconds = (_: uPlot, splits: number[]) => splits.map((s) => `${s} s`);
const MARK = '#be4bdb';
const COLOURS = ['#1098ad', '#868e96', '#f08c00'];
