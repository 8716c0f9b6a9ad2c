import { useElementSize } from '@mantine/hooks';
import { useNavigate } from '@tanstack/react-router';
import type { MouseEvent } from 'react';
import type { ZoneHealth } from '../../api/types';
import { UNKNOWN } from '../../parts/format';
import { usePreload } from '../../parts/preload';
import { placeLabels, textWidth, type Label } from './labels';
import { LAND } from './land';

/** Zones where they are, in the colour of how they stand. Nothing of it comes from elsewhere. */
export function ZoneMap({ zones }: { zones: ZoneHealth[] }) {
  const { ref, width } = useElementSize<HTMLDivElement>();
  // Names and marks are of one size whatever the size of the map.
  const unit = Math.max(1, Math.min((width || WIDE_PX) / EXTENT.width, HIGH_PX / EXTENT.height));
  const size = FONT_PX / unit;
  const radius = MARK_PX / unit;
  const placed = zones.filter(({ latitude, longitude }) => latitude != null && longitude != null);
  const points = placed.map((zone) => ({
    x: zone.longitude ?? 0,
    y: -(zone.latitude ?? 0),
    width: textWidth(nameOf(zone), size),
  }));
  const labels = placeLabels(points, { height: size * 1.25, radius, room: ROOM });
  return (
    <div ref={ref}>
      <svg className="map" viewBox={VIEW} role="group" aria-label={said(placed)}>
        <g className="map-grid">
          {[-150, -120, -90, -60, -30, 0, 30, 60, 90, 120, 150].map((east) => (
            <line key={`e${east}`} x1={east} x2={east} y1={ROOM.top} y2={ROOM.bottom} />
          ))}
          {[-30, 0, 30, 60].map((north) => (
            <line key={`n${north}`} x1={ROOM.left} x2={ROOM.right} y1={-north} y2={-north} />
          ))}
        </g>
        {LAND.map((shape, index) => (
          <polygon
            key={index}
            className="map-land"
            points={shape.map(([east, north]) => `${east},${-north}`).join(' ')}
          />
        ))}
        {placed.map((zone, index) => (
          <Mark
            key={zone.zone}
            zone={zone}
            label={labels[index] ?? null}
            radius={radius}
            size={size}
          />
        ))}
      </svg>
    </div>
  );
}

interface MarkProps {
  zone: ZoneHealth;
  label: Label | null;
  radius: number;
  size: number;
}

/** A zone, which leads to its page; where there is no room for its name, it is told when asked. */
function Mark({ zone, label, radius, size }: MarkProps) {
  const navigate = useNavigate();
  const preload = usePreload();
  const path = `/zones/${zone.zone}`;
  const open = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    void navigate({ to: path as string });
  };
  const [x, y] = [zone.longitude ?? 0, -(zone.latitude ?? 0)];
  return (
    <a
      href={path}
      onClick={open}
      className="map-zone"
      data-standing={zone.capacity.standing}
      aria-label={`${zone.name}: ${zone.capacity.cause}`}
      {...preload(path)}
    >
      <title>{`${zone.name}: ${zone.capacity.cause}`}</title>
      {label?.isFar && (
        <line x1={x} y1={y} x2={label.x} y2={label.y} strokeWidth={size / 14} />
      )}
      <circle cx={x} cy={y} r={radius} />
      {label && (
        <text
          x={label.x}
          y={label.y}
          fontSize={size}
          strokeWidth={size / 4}
          textAnchor="middle"
          dominantBaseline="central"
        >
          {nameOf(zone)}
        </text>
      )}
    </a>
  );
}

/** What stands at a zone. */
function nameOf(zone: ZoneHealth): string {
  const letters = [...zone.name];
  const name = letters.length > NAME_MAX ? `${letters.slice(0, NAME_MAX - 1).join('')}…` : zone.name;
  return `${name} ${percent(zone)}`;
}

function percent({ capacity }: ZoneHealth): string {
  return capacity.used_percent == null ? UNKNOWN : `${capacity.used_percent} %`;
}

function said(zones: ZoneHealth[]): string {
  const each = zones.map((zone) => `${zone.name} ${zone.capacity.standing}, ${percent(zone)} in use`);
  return `Map of zones: ${each.join('; ') || 'none has a place on it'}`;
}

/** Degrees that are shown: nobody has a server nearer to the poles. */
const ROOM = { left: -180, top: -78, right: 180, bottom: 60 };
const EXTENT = { width: ROOM.right - ROOM.left, height: ROOM.bottom - ROOM.top };
const VIEW = `${ROOM.left} ${ROOM.top} ${EXTENT.width} ${EXTENT.height}`;
/** As panel.css has it. */
const HIGH_PX = 420;
/** Until the map has been measured. */
const WIDE_PX = 1000;
const FONT_PX = 12;
const MARK_PX = 5;
const NAME_MAX = 20;
