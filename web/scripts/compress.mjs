// Puts beside each file of the panel the same compressed, so that no server has to do it again.
// Browsers take Brotli by HTTPS and from the own machine alone, and gzip everywhere.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const directory = 'dist/assets';
const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };

for (const name of readdirSync(directory)) {
  if (!/\.(js|css|svg)$/.test(name)) continue;
  const path = join(directory, name);
  const content = readFileSync(path);
  writeFileSync(`${path}.br`, brotliCompressSync(content, options));
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
}
