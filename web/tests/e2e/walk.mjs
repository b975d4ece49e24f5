// Walks through the pages as somebody who comes to stream does, and tells on standard output, a JSON object a line, how far it is:
//
//   node web/tests/e2e/walk.mjs --url http://host [--shots FOLDER]
//
// registered; key (text: the stream key; now somebody publishes with it); watched (the picture moves on a second page); followed (it is for
// followers now, and moves for one); clipped (a clip of it moves as well); revoked (the page says so, and the stream is off air); done. Standard input's end ends it. A problem of any page fails it.
import { parseArgs } from 'node:util'
import { launch, newContext, open, waitFor } from './lib.mjs'

const { values: args } = parseArgs({ options: { url: { type: 'string' }, shots: { type: 'string' } } })
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
const problem = (text) => print({ type: 'problem', text })

const password = 'correct horse battery'
const newPassword = 'a staple for the battery'

/** What browsers tell of refusals that are part of the walk, and of media that are not there yet. */
const expected = /Failed to load resource: .*(401|403|404|409|422)/

/** The picture of a page goes on. */
const moves = (page) =>
  waitFor(
    () =>
      page.evaluate(() => {
        const video = document.querySelector('video')
        const frames = video?.getVideoPlaybackQuality().totalVideoFrames ?? 0
        window.__frames ??= frames || undefined
        return frames > (window.__frames ?? Infinity) + 20
      }),
    { timeout: 60_000, what: 'a picture that moves' },
  )

async function main() {
  const browser = await launch()
  const hear = (text) => expected.test(text) || problem(text)
  try {
    const context = await newContext(browser)
    const page = await open(context, `${args.url}/settings/sessions`, hear)
    const see = (selector, options) => page.waitForSelector(selector, { timeout: 20_000, ...options })
    const heading = (text) =>
      waitFor(
        async () =>
          (await page
            .locator('h1')
            .first()
            .innerText()
            .catch(() => '')) === text,
        {
          what: `the page “${text}”`,
        },
      )
    const shot = async (name) => args.shots && page.screenshot({ path: `${args.shots}/${name}.png` })

    // A page for users alone sends to the login, and from there back.
    await heading('Welcome back')
    await page.click('main a[href^="/register"]')
    await heading('Create your account')
    await waitFor(() => page.evaluate(() => document.activeElement?.tagName === 'H1'), { what: 'the focus' })
    // With the keyboard alone, and a password that is too weak at first.
    for (const text of ['carla', 'password123']) {
      await page.keyboard.press('Tab')
      await page.keyboard.type(text)
      if (text !== 'carla') await page.keyboard.press('Enter')
    }
    await see('[data-fault=weak_password]')
    await waitFor(() => page.evaluate(() => document.activeElement?.name === 'password'), {
      what: 'the bad field',
    })
    await page.keyboard.press('Control+A')
    await page.keyboard.type(password)
    await page.keyboard.press('Enter')
    await heading('Devices')
    print({ type: 'registered' })

    // A reload keeps who is signed in; nothing of it is where a script could read it.
    await page.reload()
    await see('[data-account]')
    const stored = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    )
    if (/mdr_|eyJ/.test(stored)) problem(`a token is stored: ${stored}`)

    await page.goto(`${args.url}/studio`)
    await page.click('[data-become]')
    await page.click('[data-new], [data-empty] button')
    await page.fill('dialog [name=title]', 'Friday blitz')
    await page.fill('dialog [name=slug]', 'blitz')
    await page.click('[data-create]')
    await see('[data-fresh-key]')
    await page.click('[data-fresh-key] button[aria-pressed=false]')
    const key = await page.locator('[data-secret]').innerText()
    if (page.url().includes(key)) problem('the key is in the address')
    await shot('studio-key')
    print({ type: 'key', text: key })

    await see('[data-state=live]', { timeout: 60_000 })
    await see('[data-health] dl')
    await shot('studio-live')

    // Somebody else watches: without an account, from the list.
    const other = await newContext(browser)
    const viewer = await open(other, `${args.url}/`, hear)
    await viewer.click('main article a[href="/watch/blitz"]')
    await moves(viewer)
    await viewer.waitForSelector('[data-owner][href="/@carla"]')
    print({ type: 'watched' })

    // The stream is for followers now: whoever is none loses the picture, and has it again as one.
    await page.selectOption('[data-details] [name=visibility]', 'followers')
    await page.click('[data-details] [type=submit]')
    await viewer.waitForSelector('[data-slate]')
    await viewer.click('[data-sign-in]')
    await viewer.click('main a[href^="/register"]')
    // The login, whose fields are named alike, stands until the page is there.
    await viewer.locator('h1').filter({ hasText: 'Create your account' }).waitFor()
    await viewer.fill('[name=username]', 'dora')
    await viewer.fill('[name=password]', password)
    await viewer.keyboard.press('Enter')
    await viewer.waitForURL(({ pathname }) => pathname === '/watch/blitz')
    await viewer.goto(`${args.url}/@carla`)
    await viewer.click('[data-follow] button[aria-pressed=false]')
    await viewer.waitForSelector('[data-follow] button[aria-pressed=true]')
    await viewer.goto(`${args.url}/watch/blitz`)
    await moves(viewer)
    print({ type: 'followed' })

    // Who follows cuts a clip of what they see.
    await waitFor(() => viewer.evaluate(() => (document.querySelector('video')?.currentTime ?? 0) > 5), {
      timeout: 60_000,
      what: 'five seconds',
    })
    await viewer.mouse.move(300, 300)
    await viewer.waitForSelector('[data-clip]')
    await viewer.keyboard.press('Alt+x')
    await viewer.fill('dialog[open] [name=title]', 'What a move')
    await viewer.check('dialog[open] [name=seconds][value="15"]')
    if (args.shots) await viewer.screenshot({ path: `${args.shots}/clip.png` })
    await viewer.click('[data-clip-cut]')
    const cut = await viewer.waitForSelector('[data-clip-link]', { timeout: 30_000 })
    if (args.shots) await viewer.screenshot({ path: `${args.shots}/clip-made.png` })
    const clip = await open(other, await cut.getAttribute('href'), hear)
    await moves(clip)
    await clip.locator('h1').filter({ hasText: 'What a move' }).waitFor()
    await clip.close()
    await viewer.keyboard.press('Escape')
    print({ type: 'clipped' })

    await page.click(`[data-key="${key.slice(-4)}"] [data-revoke]`)
    await page.click('dialog[open] [data-confirm]')
    await see('[data-revoked]')
    await see('[data-disconnects] [data-code=key_revoked]')
    await see('[data-state=idle]')
    await see('[data-broadcasts] [data-reason=key_revoked]')
    await shot('studio-revoked')
    print({ type: 'revoked' })

    // A new password ends the other sessions, in their tabs as well.
    const second = await newContext(browser)
    const elsewhere = await open(second, `${args.url}/login?to=/settings/account`, hear)
    await elsewhere.fill('[name=username]', 'CARLA')
    await elsewhere.fill('[name=password]', password)
    await elsewhere.keyboard.press('Enter')
    await elsewhere.waitForURL(({ pathname }) => pathname === '/settings/account')
    await page.goto(`${args.url}/settings/account`)
    const tab = await open(context, `${args.url}/studio`, hear)
    await tab.waitForSelector('[data-account]')
    await page.fill('[data-password] [name=current-password]', password)
    await page.fill('[data-password] [name=new-password]', newPassword)
    await page.click('[data-password] [type=submit]')
    await page.locator('[data-password] [role=status]').filter({ hasText: 'signed out' }).waitFor()
    await waitFor(
      async () => {
        await elsewhere.reload()
        await elsewhere.waitForSelector('[data-account], [name=password][autocomplete=current-password]')
        return elsewhere.url().includes('/login')
      },
      { what: 'the end of the other session' },
    )
    // Signing out here is signing out in all tabs.
    await page.click('[data-account]')
    await page.click('#account-menu button')
    await tab.waitForURL('**/login?to=/studio')
    print({ type: 'done' })
    await new Promise((resolve) => process.stdin.once('end', resolve).resume())
  } catch (error) {
    problem(String(error?.stack ?? error))
  } finally {
    await browser.close()
  }
}

await main()
