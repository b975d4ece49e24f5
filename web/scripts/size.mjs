// Fails when a page's first load has grown over its budget: everything it fetches before it can be used,
// gzipped, from the build's manifest. The embed page may not load the site's own chunk (router, stores) either.
import { execSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const kB = 1000
const pages = [
  { page: 'home', entries: ['index.html', 'src/features/home/HomePage.vue'], budget: 130 * kB },
  { page: 'watch', entries: ['index.html', 'src/features/watch/WatchPage.vue'], budget: 400 * kB },
  { page: 'video', entries: ['index.html', 'src/features/video/VideoPage.vue'], budget: 400 * kB },
  { page: 'embed', entries: ['embed.html'], budget: 350 * kB, without: /site-/ },
]

if (!existsSync('dist/manifest.json')) execSync('npm run --silent build', { stdio: 'inherit' })

const manifest = JSON.parse(readFileSync('dist/manifest.json', 'utf8'))

function collect(key, seen, files) {
  if (seen.has(key)) return
  seen.add(key)
  const chunk = manifest[key]
  if (!chunk) throw new Error(`the build's manifest does not know ${key}`)
  files.add(chunk.file)
  for (const css of chunk.css ?? []) files.add(css)
  for (const dependency of chunk.imports ?? []) collect(dependency, seen, files)
}

let failed = 0
for (const { page, entries, budget, without } of pages) {
  const files = new Set()
  const seen = new Set()
  for (const entry of entries) collect(entry, seen, files)
  let total = 0
  for (const file of files) total += gzipSync(readFileSync(join('dist', file)), { level: 9 }).length
  const stray = without ? [...files].filter((file) => without.test(file)) : []
  const over = total > budget || stray.length > 0
  if (over) failed++
  console.log(
    `${over ? 'OVER' : 'ok  '} ${page}: ${(total / kB).toFixed(1)} of ${budget / kB} kB gzipped, ${files.size} files ${stray.join(' ')}`,
  )
}
console.log(`${pages.length - failed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
