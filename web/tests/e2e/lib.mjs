// What the browser tests share: Chromium as media tests need it, our pages, pages with other players, and the
// clock stamp of internal/stamp read back from what is on the screen.
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const here = fileURLToPath(new URL('.', import.meta.url))
const web = join(here, '..', '..')

/**
 * Starts headless Chromium. `sound: false` keeps the browser's own rule against sound without a gesture.
 * CHROMIUM names another binary than Debian's.
 */
export function launch({ headless = true, sound = true, args = [] } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless,
    args: [
      '--no-sandbox',
      '--disable-quic',
      '--ignore-certificate-errors',
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      ...(sound ? ['--autoplay-policy=no-user-gesture-required'] : []),
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

/** Opens a page and keeps what goes wrong in it: `page.problems` lists uncaught errors and console errors. */
export async function open(
  browser,
  url,
  { width = 1440, height = 900, theme = 'dark', locale = 'en', ...rest } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale,
    ignoreHTTPSErrors: true,
    ...rest,
  })
  const page = await context.newPage()
  page.problems = []
  page.on('pageerror', (error) => page.problems.push(String(error)))
  page.on('console', (message) => {
    // A stream that is not live answers 404, which the browser reports whoever asked for it.
    if (message.type() === 'error' && !message.text().includes('404')) page.problems.push(message.text())
  })
  await page.goto(url, { waitUntil: 'domcontentloaded' })
  return page
}

/** Our own watch page. */
export const openWatch = (browser, base, stream, options) => open(browser, `${base}/watch/${stream}`, options)

/** Our own embed page. */
export const openEmbed = (browser, base, stream, options) => open(browser, `${base}/embed/${stream}`, options)

/** What our watch or embed page shows; `phase` is the engine's state. */
export function watchStats(page) {
  return page.evaluate(() => {
    const player = document.querySelector('.player')
    const video = player?.querySelector('video')
    if (!video) return null
    const quality = video.getVideoPlaybackQuality()
    const ranges = video.buffered
    return {
      phase: player.dataset.phase,
      slate: player.querySelector('[data-slate]')?.dataset.slate ?? null,
      badge: player.querySelector('[data-tone]')?.dataset.tone ?? null,
      currentTime: video.currentTime,
      rate: video.playbackRate,
      paused: video.paused,
      muted: video.muted,
      width: video.videoWidth,
      buffer: ranges.length ? ranges.end(ranges.length - 1) - video.currentTime : 0,
      decodedFrames: quality.totalVideoFrames,
      droppedFrames: quality.droppedVideoFrames,
    }
  })
}

export const waitForPhase = (page, phase, timeout = 15_000) =>
  waitFor(async () => (await watchStats(page))?.phase === phase, { timeout, what: `phase ${phase}` })

/**
 * Keeps the times of all pictures that a page shows from now on; `frames(page)` returns them as
 * `{ at, mediaTime }` in wall-clock milliseconds and seconds. Works in our pages and in those of other players.
 */
export function recordFrames(page) {
  return page.evaluate(() => {
    const video = document.querySelector('video')
    window.__frames = []
    const onFrame = (_now, meta) => {
      window.__frames.push({ at: Date.now(), mediaTime: meta.mediaTime })
      if (window.__frames.length > 200_000) window.__frames.shift()
      video.requestVideoFrameCallback(onFrame)
    }
    video.requestVideoFrameCallback(onFrame)
  })
}

export const frames = (page) => page.evaluate(() => window.__frames)

/** Longest time between two pictures after `since` (wall clock), in milliseconds. */
export async function longestFreeze(page, since = 0) {
  const shown = (await frames(page)).filter((frame) => frame.at >= since)
  let longest = 0
  for (let i = 1; i < shown.length; i++) longest = Math.max(longest, shown[i].at - shown[i - 1].at)
  return longest
}

/**
 * Milliseconds from the moment stamped into the picture (internal/stamp) to now, read from a canvas: what a
 * viewer really waits. Null where no stamp can be read.
 */
export function glassToGlass(page) {
  return page.evaluate(() => {
    const video = document.querySelector('video')
    if (!video?.videoWidth) return null
    const canvas = (window.__canvas ??= document.createElement('canvas'))
    const block = video.videoWidth / 64
    canvas.width = video.videoWidth
    canvas.height = Math.ceil(block)
    const context = canvas.getContext('2d', { willReadFrequently: true })
    context.drawImage(video, 0, 0)
    const now = Date.now()
    const { data, width } = context.getImageData(0, 0, canvas.width, canvas.height)
    let bits = 0n
    for (let bit = 0; bit < 64; bit++) {
      const x = Math.floor((bit + 0.5) * block)
      const luma = data[(Math.floor(block / 2) * width + x) * 4 + 1]
      bits = (bits << 1n) | (luma > 127 ? 1n : 0n)
    }
    if (bits >> 56n !== 0xa5n) return null
    const time = (bits >> 8n) & 0xffffffffffffn
    let sum = 0n
    for (let i = 0n; i < 6n; i++) sum += (time >> (8n * i)) & 0xffn
    return (sum & 0xffn) === (bits & 0xffn) ? now - Number(time) : null
  })
}

/** Median, 95th percentile and extremes of numbers. */
export function summary(values) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b)
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return { n: sorted.length, min: sorted[0], p50: at(0.5), p95: at(0.95), max: sorted.at(-1) }
}

const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.map': 'application/json',
}

/**
 * Serves the pages of other players and the installed packages that they use; `close()` stops it. The media
 * come from the server under test, by CORS as on anybody's page.
 */
export async function servePlayers() {
  const roots = { players: join(here, 'players'), modules: join(web, 'node_modules') }
  const server = createServer(async (request, response) => {
    const [, root, ...rest] = normalize(new URL(request.url, 'http://x').pathname).split('/')
    const path = roots[root] && join(roots[root], ...rest)
    try {
      if (!path?.startsWith(roots[root])) throw new Error('outside')
      const body = await readFile(path)
      response.writeHead(200, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream' })
      response.end(body)
    } catch {
      response.writeHead(404)
      response.end()
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${server.address().port}`
  return { base, close: () => new Promise((resolve) => server.close(resolve)) }
}

export const players = ['hls', 'videojs', 'shaka']

/** Opens a page with another player: `hls` (stock hls.js), `videojs` (with its own engine), `shaka`. */
export const openPlayer = (browser, served, player, source, options) =>
  open(browser, `${served.base}/players/${player}.html?src=${encodeURIComponent(source)}`, options)

/** `{ currentTime, latency, stalls, decodedFrames, droppedFrames, errors }` of another player's page. */
export const playerStats = (page) => page.evaluate(() => window.stats)
