import { useVirtualizer } from '@tanstack/react-virtual';
import { useRouter } from '@tanstack/react-router';
import { useEffect, useRef, type MouseEvent, type ReactNode } from 'react';
import { usePreload } from './preload';
import { useRowKeys } from './rowKeys';

/** A column of a table. */
export interface Column<T> {
  key: string;
  title: string;
  cell: (row: T) => ReactNode;
  /** SIP things are in monospace, figures at the right. */
  kind?: 'mono' | 'figure';
  /** Left out where there is no room. */
  wide?: boolean;
  /** What leads to where the row opens; without one, the first column does. */
  leads?: boolean;
}

interface Props<T> {
  /** What the table shows, for those who cannot see it. */
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  /** The path of the page that a row opens. */
  to?: (row: T) => string;
  /** What a row does that opens no page. */
  onOpen?: (row: T) => void;
  /** The last row is in sight. */
  onEnd?: () => void;
  /** What stands in place of rows where there are none. */
  empty?: ReactNode;
  /** As high as its rows, in place of filling the page. */
  fits?: boolean;
}

/** A table that draws only the rows in sight; j and k move, Enter opens. */
export function DataTable<T>(props: Props<T>) {
  const { label, columns, rows, rowKey, to, onOpen, onEnd, empty, fits } = props;
  const router = useRouter();
  const preload = usePreload();
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const opens = to !== undefined || onOpen !== undefined;
  const open = (row: T) => (to ? router.history.push(to(row)) : onOpen?.(row));
  const lead = columns.find(({ leads }) => leads) ?? columns[0];
  const selected = useRowKeys({
    count: rows.length,
    reveal: (index) => virtual.scrollToIndex(index),
    open: (index) => rows[index] !== undefined && open(rows[index]),
    enabled: !fits,
  });
  const items = virtual.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items[items.length - 1]?.end ?? 0);
  const last = items[items.length - 1]?.index;
  useEffect(() => {
    if (last !== undefined && last >= rows.length - 1) onEnd?.();
  }, [last, rows.length, onEnd]);
  return (
    <div
      className={fits ? 'table-box fits' : 'table-box'}
      ref={box}
      tabIndex={0}
      aria-label={label}
      role="group"
    >
      <table aria-label={label} aria-rowcount={rows.length}>
        <thead>
          <tr>
            {columns.map((column) =>
              column.title ? (
                <th key={column.key} scope="col" className={classes(column)}>
                  {column.title}
                </th>
              ) : (
                <td key={column.key} className={classes(column)} />
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Space height={before} span={columns.length} />}
          {items.map(({ index }) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <tr
                key={rowKey(row)}
                aria-selected={index === selected}
                className={opens ? 'opens' : undefined}
                onClick={opens ? () => open(row) : undefined}
                {...(to && preload(to(row)))}
              >
                {columns.map((column) => (
                  <td key={column.key} className={classes(column)}>
                    {opens && column === lead ? (
                      <Lead path={to?.(row)}>{column.cell(row)}</Lead>
                    ) : (
                      column.cell(row)
                    )}
                  </td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <Space height={after} span={columns.length} />}
          {rows.length === 0 && (
            <tr className="space">
              <td colSpan={columns.length} style={{ maxWidth: 'none' }}>
                <div className="empty dim">{empty ?? 'Nothing here.'}</div>
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

/** What can be reached by keyboard in a row; the click itself is the row's. */
function Lead({ path, children }: { path: string | undefined; children: ReactNode }) {
  if (path === undefined) {
    return (
      <button type="button" className="row-link">
        {children}
      </button>
    );
  }
  const click = (event: MouseEvent) => {
    // Into another tab or window, as the browser does it.
    if (event.ctrlKey || event.metaKey || event.shiftKey) event.stopPropagation();
    else event.preventDefault();
  };
  return (
    <a href={path} className="row-link" onClick={click}>
      {children}
    </a>
  );
}

function Space({ height, span }: { height: number; span: number }) {
  return (
    <tr className="space" aria-hidden>
      <td colSpan={span} style={{ height }} />
    </tr>
  );
}

function classes<T>({ kind, wide }: Column<T>): string {
  return [kind === 'mono' && 'mono', kind === 'figure' && 'right', wide && 'wide']
    .filter(Boolean)
    .join(' ');
}

/** As high as panel.css makes a row, with its line. */
const ROW_PX = 33;
