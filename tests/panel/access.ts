import type { Page } from '@playwright/test';
import axe from 'axe-core';
import { expect } from './platform';

interface Found {
  id: string;
  help: string;
  nodes: { target: unknown; failureSummary?: string; any: { message: string }[] }[];
}

/**
 * What axe-core finds on a page, in a line for each kind. The script is handed over by the
 * debugging protocol: the page's policy lets no script of others in, and is not softened for this.
 */
export async function findings(page: Page, rules: 'all' | 'contrast'): Promise<string[]> {
  await page.evaluate(axe.source);
  const runOnly =
    rules === 'all'
      ? ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
      : ['color-contrast'];
  const violations = await page.evaluate(async (only) => {
    const { axe } = window as unknown as {
      axe: { run: (options: object) => Promise<{ violations: Found[] }> };
    };
    const options = { runOnly: only, resultTypes: ['violations'] };
    return (await axe.run(options)).violations as unknown as Found[];
  }, runOnly);
  return violations.map(({ id, help, nodes }) => {
    const places = nodes.slice(0, 4).map(({ target, any }) => {
      const why = any[0]?.message ?? '';
      return `${JSON.stringify(target)} ${why}`;
    });
    return `${id}: ${help} (${nodes.length}): ${places.join('; ')}`;
  });
}

/** Waits until a page is drawn and its data are there. */
export async function settle(page: Page): Promise<void> {
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.getByLabel('loading')).toHaveCount(0);
}
