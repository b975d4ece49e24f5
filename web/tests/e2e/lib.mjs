// What the browser tests share: Chromium as media tests need it, our pages, and pages with other players.
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const here = fileURLToPath(new URL('.', import.meta.url))
const web = join(here, '..', '..')

/** Starts headless Chromium with its usual rule against sound without a gesture. CHROMIUM names another binary. */
export function launch({ headless = true, args = [] } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless,
    args: [
      '--no-sandbox',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      '--disable-backgrounding-occluded-windows',
      ...args,
    ],
  })
}

/** Waits until `look` returns something truthy, which is returned; fails with `what` after `timeout` ms. */
export async function waitFor(look, { timeout = 15_000, every = 100, what = 'a condition' } = {}) {
  const until = Date.now() + timeout
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (Date.now() > until) throw new Error(`waited ${timeout} ms in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, every))
  }
}

/** A browser profile: its pages share a cache. `tls` takes self-signed certificates. */
export async function newContext(
  browser,
  { width = 1280, height = 800, theme = 'dark', locale = 'en', tls } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale,
    ignoreHTTPSErrors: Boolean(tls),
  })
  await context.addInitScript({ path: join(here, 'probe.js') })
  return context
}

/** Opens a page; `onProblem` hears of uncaught errors and console errors. */
export async function open(context, url, onProblem = () => {}) {
  const page = await context.newPage()
  page.on('pageerror', (error) => onProblem(`uncaught: ${error}`))
  page.on('console', (message) => {
    if (message.type() === 'error') onProblem(`console: ${message.text()} ${message.location().url}`.trim())
  })
  page.on('crash', () => onProblem('the page crashed'))
  await page.goto(url, { waitUntil: 'commit' })
  return page
}

/** What the page's probe saw since the last call; the video may be in a frame. */
export async function take(page) {
  for (const frame of page.frames()) {
    // A frame that is being replaced has nothing to tell.
    const seen = await frame
      .evaluate(() => (window.__probe?.hasVideo ? window.__probe.take() : null))
      .catch(() => null)
    if (seen) return seen
  }
  return { sample: null, events: [] }
}

/** Value below which `share` of the values lie; the nearest one that occurred. */
export function quantile(values, share) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b)
  if (!sorted.length) return null
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css',
}

/**
 * Serves the pages of other players and the installed packages that they use; `close()` stops it. The media
 * come from the server under test, by CORS as on anybody's page.
 */
export async function servePlayers() {
  const roots = { players: join(here, 'players'), modules: join(web, 'node_modules') }
  const server = createServer(async (request, response) => {
    const [, root, ...rest] = normalize(new URL(request.url, 'http://x').pathname).split('/')
    const path = Object.hasOwn(roots, root) && join(roots[root], ...rest)
    try {
      if (!path || !path.startsWith(roots[root])) throw new Error('outside')
      const body = await readFile(path)
      const type = types[extname(path)] ?? 'application/octet-stream'
      // Packages are kept, as any site has them kept.
      const cache = root === 'modules' ? 'max-age=3600' : 'no-cache'
      response.writeHead(200, { 'Content-Type': type, 'Cache-Control': cache })
      response.end(body)
    } catch {
      response.writeHead(404)
      response.end()
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  return {
    base: `http://127.0.0.1:${port}`,
    /** The same pages on what a browser takes for another site. */
    elsewhere: `http://localhost:${port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Players that a page of ours here shows: stock hls.js, Video.js with its own engine, Shaka, WHEP; and our embed page in a frame. */
export const players = ['hlsjs', 'videojs', 'shaka', 'whep', 'embed']

/**
 * Address of the page that plays `source` by `player`; `page` is the server's own watch or embed page. `options` are those of
 * players/common.js.
 */
export function addressOf(served, player, source, options = {}) {
  if (player === 'page') return source
  if (!players.includes(player)) throw new Error(`no player ${player}: page, ${players.join(', ')}`)
  const site = player === 'embed' ? served.elsewhere : served.base
  return `${site}/players/${player}.html?${new URLSearchParams({ src: source, ...options })}`
}
