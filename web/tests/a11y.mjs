// Holds every page of a running server against axe's WCAG 2.2 AA rules, in both themes and on a phone:
//   npm run a11y -- http://127.0.0.1:8080 demo
// The stream should be live, or the watch page is judged with its slate, and there should be a replay. Exits with 1 where
// a rule is broken.
import { readFile } from 'node:fs/promises'
import { chromium } from 'playwright-core'

const [base = 'http://127.0.0.1:8080', stream = 'demo'] = process.argv.slice(2)
const axe = await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

const settled = (page) => page.waitForSelector('h1, .p-bar', { timeout: 20_000 })
const watching = async (page) => {
  await page.waitForSelector('.p-bar', { timeout: 20_000 })
  await page.waitForTimeout(500)
}
/** The newest replay, if there is one. */
const video = await fetch(`${base}/api/v1/videos?limit=1`)
  .then((response) => response.json())
  .then(({ items }) => items[0]?.id)
const inTheDvr = async (page) => {
  await page.waitForTimeout(5_000)
  await page.keyboard.press('Home')
  await page.waitForTimeout(2_500)
}
const views = [
  { name: 'home', path: '/', ready: settled },
  { name: 'guide', path: '/', ready: settled, act: (page) => page.click('header .primary') },
  { name: 'watch', path: `/watch/${stream}`, ready: watching },
  { name: 'statistics', path: `/watch/${stream}`, ready: watching, act: (page) => page.keyboard.press('s') },
  {
    name: 'settings',
    path: `/watch/${stream}`,
    ready: watching,
    act: (page) => page.click('[aria-haspopup="menu"]'),
  },
  { name: 'shortcuts', path: `/watch/${stream}`, ready: watching, act: (page) => page.keyboard.press('?') },
  { name: 'offline', path: '/watch/nobody-is-here', ready: (page) => page.waitForSelector('[data-slate]') },
  { name: 'in the DVR', path: `/watch/${stream}`, ready: watching, act: inTheDvr },
  { name: 'no video', path: '/video/0198f2a0-0000-7000-8000-000000000031', ready: settled },
  ...(video
    ? [
        { name: 'video', path: `/video/${video}?t=5`, ready: watching },
        {
          name: 'speed',
          path: `/video/${video}`,
          ready: watching,
          act: (page) => page.click('[aria-haspopup="menu"]'),
        },
      ]
    : []),
  { name: 'embed', path: `/embed/${stream}`, ready: watching },
  { name: 'not found', path: '/nowhere', ready: settled },
]
const screens = [
  { name: 'light', viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
  { name: 'dark', viewport: { width: 1440, height: 900 }, colorScheme: 'dark' },
  { name: 'phone', viewport: { width: 360, height: 740 }, colorScheme: 'dark' },
]

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-quic'],
})
let passed = 0
let failed = 0
for (const { name: screen, ...options } of screens) {
  const context = await browser.newContext({ ...options, ignoreHTTPSErrors: true })
  for (const { name, path, ready, act } of views) {
    const page = await context.newPage()
    await page.goto(base + path, { waitUntil: 'domcontentloaded' })
    await ready(page)
    await act?.(page)
    await page.waitForTimeout(400)
    await page.evaluate(axe)
    const { violations } = await page.evaluate(
      (values) => globalThis.axe.run(document, { runOnly: values }),
      tags,
    )
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    for (const { id, help, nodes } of violations) {
      console.error(
        `${name}, ${screen}: ${id}: ${help}\n  ${nodes.map((node) => node.target.join(' ')).join('\n  ')}`,
      )
    }
    if (wide > 0) console.error(`${name}, ${screen}: ${wide} px wider than the window`)
    if (violations.length || wide > 0) failed++
    else passed++
    await page.close()
  }
  await context.close()
}
await browser.close()
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
