import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// `npm run dev` shows the panel of these sources with the API of a platform that runs.
const platform = 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react()],
  build: { target: 'es2022', chunkSizeWarningLimit: 1200, assetsInlineLimit: 0 },
  server: { proxy: { '/v1': platform, '/metrics': platform, '/readyz': platform } },
});
