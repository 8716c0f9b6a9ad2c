import react from '@vitejs/plugin-react';
import { readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

// `npm run dev` shows the panel of these sources with the API of a platform that runs.
const platform = 'http://127.0.0.1:8080';
/** Parts that few pages share and that are smaller than this are not worth a file of their own. */
const SHARED_BYTES = 30_000;

export default defineConfig({
  plugins: [react(), early()],
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 600,
    assetsInlineLimit: 0,
    // A few files in place of one for each pair of pages: what the frame needs, what draws graphs, and
    // what pages share.
    rolldownOptions: {
      output: {
        chunkFileNames: ({ name }) =>
          `assets/${name.startsWith('shared') ? 'shared' : '[name]'}-[hash].js`,
        codeSplitting: {
          groups: [
            { name: 'react', test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/, priority: 4 },
            { name: 'chart', test: /node_modules[\\/]uplot[\\/]/, priority: 3 },
            { name: 'frame', tags: ['$initial'], priority: 2 },
            {
              name: 'shared',
              minShareCount: 2,
              entriesAware: true,
              entriesAwareMergeThreshold: SHARED_BYTES,
              priority: 1,
            },
          ],
        },
      },
    },
  },
  server: { proxy: { '/v1': platform, '/metrics': platform, '/readyz': platform } },
});

/**
 * The script that runs first: a file with a hash in its name like the others, but no module, as
 * modules wait for the page. The stylesheet goes behind the frame, which does not need it: what is
 * in the head would keep the frame from being painted. It stays before the root, in which the styles
 * of the theme stand: of two equally good rules the later one wins.
 */
function early(): Plugin {
  const source = 'scripts/early.js';
  const written = `<script src="/${source}"></script>`;
  return {
    name: 'early',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle }) {
        const files = Object.values(bundle ?? {});
        const script = files.find((file) => file.type === 'asset' && file.names.includes('early.js'));
        if (!script || !html.includes(written) || !html.includes(ROOT)) {
          throw new Error(`index.html lacks ${written} or ${ROOT}`);
        }
        const styles = html.match(STYLESHEETS) ?? [];
        return html
          .replace(written, `<script src="/${script.fileName}"></script>`)
          .replace(STYLESHEETS, '')
          .replace(ROOT, `${styles.join('')}${ROOT}`);
      },
    },
    buildStart() {
      this.emitFile({ type: 'asset', name: 'early.js', source: readFileSync(source) });
    },
  };
}

const ROOT = '<div id="root">';
const STYLESHEETS = /<link rel="stylesheet"[^>]*>\s*/g;
