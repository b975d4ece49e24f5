// Opens pages of a server as people of several roles and says what is wrong with them:
//
//   node web/tests/e2e/pages.mjs --url http://host --as boss:PASSWORD [--as anna:PASSWORD …] \
//     --page boss:/admin --page :/login … [--axe] [--text TEXT] [--without NAME] [--expect SELECTOR] [--locale zh-CN] [--width 768]
//     [--shots FOLDER]
//
// A page is named by who looks at it (nobody: empty) and its path. Each has to come up with a heading, without an error in the console,
// no wider than the window, and with no name of a message in the place of its text. --axe holds it against WCAG 2.2 AA besides, and what can be seen of that again in the dark and on a phone. --text has to be in the page as
// text, and no script of it may have run (it would set window.__ran). --without: no file whose name holds it may be fetched. --expect: has
// to be there. Exits with 1 where anything is wrong.
import { readFile, readdir } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { launch, newContext, waitFor } from './lib.mjs'

const { values: args } = parseArgs({
  options: {
    url: { type: 'string' },
    as: { type: 'string', multiple: true, default: [] },
    page: { type: 'string', multiple: true, default: [] },
    axe: { type: 'boolean', default: false },
    text: { type: 'string' },
    without: { type: 'string' },
    expect: { type: 'string' },
    locale: { type: 'string', default: 'en' },
    width: { type: 'string', default: '1280' },
    shots: { type: 'string' },
  },
})
const passwords = new Map(args.as.map((pair) => [pair.split(':')[0], pair.slice(pair.indexOf(':') + 1)]))
const axe =
  args.axe && (await readFile(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8'))
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
/** What another theme and another width can change. */
const visible = ['color-contrast', 'target-size', 'scrollable-region-focusable']

const messages = new URL('../../src/i18n/en/', import.meta.url)
const features = (await readdir(messages)).flatMap((file) =>
  file.endsWith('.json') ? [file.slice(0, -5)] : [],
)
const keys = new Set()
for (const feature of features) {
  const collect = (value, name) =>
    typeof value === 'string'
      ? keys.add(name)
      : Object.entries(value).forEach(([key, inner]) => collect(inner, `${name}.${key}`))
  collect(JSON.parse(await readFile(new URL(`${feature}.json`, messages), 'utf8')), feature)
}
/** The name of a message stands where its text should. Events and settings are named alike, but not as deep. */
const isMessage = (name) => {
  const parts = name.split('.')
  return keys.has(name) || (parts.length > 2 && features.includes(parts[0]))
}

let failed = 0
function wrong(where, what) {
  failed++
  process.stderr.write(`${where}: ${what}\n`)
}

async function signIn(context, who) {
  const page = await context.newPage()
  await page.goto(`${args.url}/login`)
  await page.fill('[name=username]', who)
  await page.fill('[name=password]', passwords.get(who))
  await page.keyboard.press('Enter')
  await page.waitForSelector('[data-account]', { timeout: 20_000 })
  await page.close()
}

/** Nothing is loading any more. */
const settled = (page) =>
  waitFor(
    () => page.evaluate(() => document.querySelector('h1') && !document.querySelector('main .skeleton')),
    {
      timeout: 20_000,
      what: 'the page',
    },
  )

async function look(page, where) {
  await settled(page)
  const { wide, cut, named } = await page.evaluate(() => ({
    named: document.body.innerText.match(/\b[a-z]+(\.\w+)+/gi) ?? [],
    wide: document.documentElement.scrollWidth - innerWidth,
    // What a box that hides its overflow cuts off at the window's edge.
    cut: [...document.querySelectorAll('main :is(h1,h2,h3,p,a,button,input,label)')]
      .filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
      .map((e) => e.outerHTML.slice(0, 120)),
  }))
  for (const name of named.filter(isMessage)) wrong(where, `no text: ${name}`)
  if (wide > 0) wrong(where, `${wide} px wider than the window`)
  for (const element of cut) wrong(where, `cut off at the edge: ${element}`)
  if (args.expect && !(await page.locator(args.expect).count())) wrong(where, `${args.expect} is not there`)
}

/** The text is in the page as it was written, in a field or beside. */
async function read(page, where) {
  const shown = () =>
    page.evaluate((wanted) => {
      const fields = [...document.querySelectorAll('input,textarea')].map(({ value }) => value)
      return [document.body.innerText, ...fields].some((text) => text.includes(wanted))
    }, args.text)
  await waitFor(shown, { what: 'the text' })
  if (await page.evaluate(() => window.__ran)) wrong(where, 'a script of the text has run')
}

/** Runs in the page: the theme is the dark one, and no colour is on its way to it. */
const dark = () =>
  document.documentElement.dataset.theme === 'dark' &&
  !document.getAnimations().some((animation) => animation instanceof CSSTransition)

async function judge(page, where, runOnly) {
  const { violations } = await page.evaluate(
    (rules) => globalThis.axe.run(document, { runOnly: rules }),
    runOnly,
  )
  for (const { id, help, nodes } of violations) {
    wrong(where, `${id}: ${help}\n  ${nodes.map((node) => node.target.join(' ')).join('\n  ')}`)
  }
}

const screen = { locale: args.locale, width: Number(args.width) }
const browser = await launch()
try {
  const contexts = new Map()
  for (const named of args.page) {
    const who = named.split(':')[0]
    const path = named.slice(named.indexOf(':') + 1)
    const where = `${path} for ${who || 'nobody'}`
    if (!contexts.has(who)) {
      contexts.set(who, await newContext(browser, { theme: 'light', ...screen }))
      if (who) await signIn(contexts.get(who), who)
    }
    const page = await contexts.get(who).newPage()
    page.on('pageerror', (error) => wrong(where, `uncaught: ${error}`))
    page.on('console', (message) => {
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
        wrong(where, message.text())
    })
    page.on('dialog', (dialog) => wrong(where, `a dialog: ${dialog.message()}`))
    page.on('request', (request) => {
      if (args.without && request.url().includes(args.without)) wrong(where, `fetched ${request.url()}`)
    })
    // Colours are judged as they are, not on their way from one theme to the other.
    await page.emulateMedia({ reducedMotion: 'reduce' })
    try {
      await page.goto(args.url + path, { waitUntil: 'domcontentloaded' })
      await look(page, where)
      if (args.text) await read(page, where)
      if (args.shots) {
        const name = `${who}${path}`.replace(/\W+/g, '-').replace(/^-|-$/g, '') || 'home'
        await page.screenshot({
          path: `${args.shots}/${name}-${args.width}-${args.locale}.png`,
          fullPage: true,
        })
      }
      if (axe) {
        await page.evaluate(axe)
        await judge(page, where, tags)
        await page.emulateMedia({ colorScheme: 'dark' })
        await page.setViewportSize({ width: 360, height: 740 })
        await waitFor(() => page.evaluate(dark), { what: 'the dark theme' })
        await look(page, `${where}, on a phone`)
        await judge(page, `${where}, dark, on a phone`, visible)
      }
    } catch (error) {
      wrong(where, error)
    }
    await page.close()
  }
} finally {
  await browser.close()
}
process.stdout.write(`${args.page.length} pages, ${failed} faults\n`)
process.exitCode = failed ? 1 : 0
