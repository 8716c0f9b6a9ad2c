import { useNavigate } from '@tanstack/react-router';
import type { ZoneHealth } from '../../api/types';
import { UNKNOWN } from '../../parts/format';
import { LAND } from './land';

/** Zones where they are, in the colour of how they stand. Nothing of it comes from elsewhere. */
export function ZoneMap({ zones }: { zones: ZoneHealth[] }) {
  const navigate = useNavigate();
  const placed = zones.filter(({ latitude, longitude }) => latitude != null && longitude != null);
  return (
    <svg className="map" viewBox="-180 -78 360 138" role="img" aria-label={said(placed)}>
      <g className="map-grid">
        {[-150, -120, -90, -60, -30, 0, 30, 60, 90, 120, 150].map((east) => (
          <line key={`e${east}`} x1={east} x2={east} y1={-78} y2={60} />
        ))}
        {[-30, 0, 30, 60].map((north) => (
          <line key={`n${north}`} x1={-180} x2={180} y1={-north} y2={-north} />
        ))}
      </g>
      {LAND.map((shape, index) => (
        <polygon
          key={index}
          className="map-land"
          points={shape.map(([east, north]) => `${east},${-north}`).join(' ')}
        />
      ))}
      {placed.map((zone) => (
        <g
          key={zone.zone}
          className="map-zone"
          data-standing={zone.capacity.standing}
          transform={`translate(${zone.longitude} ${-(zone.latitude ?? 0)})`}
          onClick={() => void navigate({ to: `/zones/${zone.zone}` as string })}
        >
          <title>{`${zone.name}: ${zone.capacity.cause}`}</title>
          <circle r={3} />
          <text x={4.5} y={1.8}>
            {zone.name} {percent(zone)}
          </text>
        </g>
      ))}
    </svg>
  );
}

function percent({ capacity }: ZoneHealth): string {
  return capacity.used_percent == null ? UNKNOWN : `${capacity.used_percent} %`;
}

function said(zones: ZoneHealth[]): string {
  const each = zones.map((zone) => `${zone.name} ${zone.capacity.standing}, ${percent(zone)} in use`);
  return `Map of zones: ${each.join('; ') || 'none has a place on it'}`;
}
