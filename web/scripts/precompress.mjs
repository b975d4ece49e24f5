// Writes a .gz and a .br beside every text file of dist that gains by it, so that the server compresses nothing.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const text = new Set(['.js', '.css', '.html', '.svg', '.json', '.txt', '.webmanifest'])
const smallest = 1024 // below this the headers cost more than is saved

let files = 0
for (const entry of readdirSync('dist', { recursive: true })) {
  const path = join('dist', entry)
  if (!text.has(extname(path)) || !statSync(path).isFile()) continue
  const bytes = readFileSync(path)
  if (bytes.length < smallest) continue
  const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: quality }))
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
  files++
}
console.log(`precompressed ${files} files`)
