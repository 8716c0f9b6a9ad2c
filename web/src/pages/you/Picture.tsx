/** A picture of black and white squares, as rows of `#` and blanks: black on white in dark mode, too. */
export function Picture({ rows, label }: { rows: string[]; label: string }) {
  const size = rows.length + 2 * MARGIN;
  const path = rows
    .flatMap((row, y) =>
      [...row].map((dot, x) => (dot === '#' ? `M${x + MARGIN} ${y + MARGIN}h1v1h-1z` : '')),
    )
    .join('');
  return (
    <svg
      viewBox={`0 0 ${size} ${size}`}
      width={200}
      height={200}
      role="img"
      aria-label={label}
      shapeRendering="crispEdges"
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

/** What readers need around it. */
const MARGIN = 4;
