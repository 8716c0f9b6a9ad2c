// Puts beside each file of the panel the same compressed, so that no server has to do it again.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const directory = 'dist/assets';
const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };

for (const name of readdirSync(directory)) {
  if (!/\.(js|css|svg)$/.test(name)) continue;
  const path = join(directory, name);
  writeFileSync(`${path}.br`, brotliCompressSync(readFileSync(path), options));
}
